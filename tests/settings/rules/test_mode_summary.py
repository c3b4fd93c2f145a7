"""What sending comes to in each mode, in words."""

import pytest

from portal.core.rules.routing import Mode
from portal.messages.rules.message_modes import (
    EmailRoute,
    describe_mode_effect,
    describe_send_effect,
    mask_email_address,
)

REAL, ELSEWHERE, NOWHERE = EmailRoute(), EmailRoute(True, "rehearsals@example.org"), EmailRoute(True)


@pytest.mark.parametrize(
    ("mode", "route", "message"),
    [
        (Mode.LIVE, REAL, "12 emails and 5 texts"),
        (Mode.TEST, REAL, "12 emails for real; 5 texts simulated"),
        (Mode.TEST_OVERRIDE, REAL, "12 emails for real; 5 texts simulated"),
        (Mode.OVERRIDE, REAL, "12 emails for real; 5 texts to the override number"),
        (Mode.LIVE, ELSEWHERE, "12 emails to the override address; 5 texts for real"),
        (Mode.TEST, ELSEWHERE, "12 emails to the override address; 5 texts simulated"),
        (Mode.OVERRIDE, ELSEWHERE, "12 emails to the override address; 5 texts to the override number"),
        (Mode.LIVE, NOWHERE, "12 emails held until there is an override address; 5 texts for real"),
    ],
)
def test_each_combination_says_what_happens_to_emails_and_to_texts(mode: Mode, route: EmailRoute, message: str) -> None:
    assert describe_send_effect(12, 5, mode, route) == message


def test_without_texts_nothing_is_said_of_them() -> None:
    assert describe_send_effect(1, 0, Mode.OFF, REAL) == "1 email"
    assert describe_send_effect(1_204, 0, Mode.OFF, ELSEWHERE) == "1,204 emails to the override address"
    assert describe_send_effect(1, 0, Mode.TEST, REAL) == "1 email for real"


@pytest.mark.parametrize(
    ("mode", "route", "message"),
    [
        (Mode.TEST, REAL, "Emails leave for real; texts are simulated."),
        (Mode.OVERRIDE, ELSEWHERE, "Emails go to the override address; texts go to the override number."),
        (Mode.OFF, ELSEWHERE, "Emails go to the override address; texts are switched off."),
        (Mode.LIVE, NOWHERE, "Emails are held until there is an override address; texts leave for real."),
    ],
)
def test_the_shell_says_the_same_without_counts(mode: Mode, route: EmailRoute, message: str) -> None:
    assert describe_mode_effect(mode, route) == message


def test_an_address_is_shown_by_its_first_letter_and_its_host() -> None:
    assert mask_email_address("rehearsals@example.org") == "r•••@example.org"
