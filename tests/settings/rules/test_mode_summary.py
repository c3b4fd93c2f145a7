"""How pages and the command line describe what a send does in each mode."""

import pytest

from portal.core.rules.routing import Mode
from portal.messages.rules.message_modes import (
    EmailRoute,
    describe_mode_effect,
    describe_send_effect,
    mask_email_address,
)

LIVE, OVERRIDE, NO_ADDRESS = EmailRoute(), EmailRoute(True, "rehearsals@example.org"), EmailRoute(True)


@pytest.mark.parametrize(
    ("mode", "route", "message"),
    [
        (Mode.LIVE, LIVE, "12 emails and 5 texts"),
        (Mode.TEST, LIVE, "12 real emails; 5 simulated texts"),
        (Mode.TEST_OVERRIDE, LIVE, "12 real emails; 5 simulated texts"),
        (Mode.OVERRIDE, LIVE, "12 real emails; 5 texts to the override number"),
        (Mode.LIVE, OVERRIDE, "12 emails to the override address; 5 real texts"),
        (Mode.TEST, OVERRIDE, "12 emails to the override address; 5 simulated texts"),
        (Mode.OVERRIDE, OVERRIDE, "12 emails to the override address; 5 texts to the override number"),
        (Mode.LIVE, NO_ADDRESS, "12 emails held until there is an override address; 5 real texts"),
    ],
)
def test_send_effect_covers_emails_and_texts_in_each_mode(mode: Mode, route: EmailRoute, message: str) -> None:
    assert describe_send_effect(12, 5, mode, route) == message


def test_send_effect_omits_texts_if_there_are_none() -> None:
    assert describe_send_effect(1, 0, Mode.OFF, LIVE) == "1 email"
    assert describe_send_effect(1_204, 0, Mode.OFF, OVERRIDE) == "1,204 emails to the override address"
    assert describe_send_effect(1, 0, Mode.TEST, LIVE) == "1 real email"


@pytest.mark.parametrize(
    ("mode", "route", "message"),
    [
        (Mode.TEST, LIVE, "Emails go to their recipients. Texts are simulated."),
        (Mode.OVERRIDE, OVERRIDE, "Emails go to the override address. Texts go to the override number."),
        (Mode.OFF, OVERRIDE, "Emails go to the override address. Texts are switched off."),
        (Mode.LIVE, NO_ADDRESS, "Emails are held until there is an override address. Texts go to people’s phones."),
    ],
)
def test_mode_effect_is_described_without_counts(mode: Mode, route: EmailRoute, message: str) -> None:
    assert describe_mode_effect(mode, route) == message


def test_email_address_is_masked() -> None:
    assert mask_email_address("rehearsals@example.org") == "r•••@example.org"
