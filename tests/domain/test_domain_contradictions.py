import pytest

from portal.domain.contradictions import Contradiction, Recorded, Told, between
from portal.domain.status import OPEN, STATES

ENDS = [name for name, state in STATES.items() if state.final]
BOTH_ENDS, BOTH_WAYS = Contradiction.BOTH_ENDS, Contradiction.BOTH_WAYS


@pytest.mark.parametrize(
    ("recorded", "told", "kind"),
    [
        ("delivered", "undelivered", BOTH_ENDS),
        ("delivered", "failed", BOTH_ENDS),
        ("delivered", "suppressed", BOTH_ENDS),
        ("delivered", "canceled", BOTH_ENDS),
        ("undelivered", "delivered", BOTH_ENDS),
        ("failed", "delivered", BOTH_ENDS),
        ("suppressed", "delivered", BOTH_ENDS),
        ("undelivered", "failed", None),
        ("failed", "suppressed", None),
        ("delivered", "delivered", None),
        ("delivered", "sent", None),
        ("undelivered", "accepted", None),
        ("undelivered", "", None),
    ],
)
def test_two_ends_of_a_message_contradict_where_one_says_that_it_arrived(
    recorded: str, told: str, kind: Contradiction | None
) -> None:
    assert between(Recorded(recorded, "SM1"), Told(told, "SM1")) is kind
    assert between(Recorded(recorded, "SM1"), Told(told, "SM2")) is None, "each message has an end of its own"


@pytest.mark.parametrize("recorded", ENDS)
@pytest.mark.parametrize("told", ["accepted", "sent", "delivered", "failed", ""])
def test_any_word_of_a_text_that_ended_without_a_message_contradicts(recorded: str, told: str) -> None:
    assert between(Recorded(recorded, None), Told(told, "SM1")) is BOTH_WAYS


@pytest.mark.parametrize("told", ["accepted", "delivered", "failed"])
def test_any_word_of_a_rehearsal_contradicts_since_nothing_real_left(told: str) -> None:
    assert between(Recorded("simulated", "SM1"), Told(told, "SM2")) is BOTH_WAYS


@pytest.mark.parametrize("recorded", OPEN)
@pytest.mark.parametrize("told", ["accepted", "sent", "delivered", "failed", ""])
def test_what_still_moves_forward_contradicts_nothing(recorded: str, told: str) -> None:
    for provider_id in (None, "SM1"):
        assert between(Recorded(recorded, provider_id), Told(told, "SM1")) is None


def test_a_refusal_contradicts_only_where_a_message_is_known() -> None:
    assert between(Recorded("sent", "SM1"), Told("rejected", "")) is BOTH_WAYS
    assert between(Recorded("sending", None), Told("rejected", "")) is None
