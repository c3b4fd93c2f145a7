"""What a handset says, and what it means."""

import pytest

from portal.domain.consent import keyword


@pytest.mark.parametrize("body", ["STOP", "stop", " Stop. ", "STOPALL", "Opt  out", "opt-out", "REVOKE!", "“Quit”"])
def test_every_way_of_saying_stop(body: str) -> None:
    assert keyword(body) == "stop"


@pytest.mark.parametrize("body", ["START", "yes", "Unstop"])
def test_every_way_of_saying_start(body: str) -> None:
    assert keyword(body) == "start"


@pytest.mark.parametrize("body", ["", "stop it", "when does it start?", "stopp", "😀" * 800, "не"])
def test_other_words_mean_neither(body: str) -> None:
    assert keyword(body) is None


def test_what_twilio_has_read_stands_above_the_words() -> None:
    assert keyword("arrêt", "STOP") == "stop"
    assert keyword("anything", "HELP") is None
