import pytest

from portal.core.rules.delivery_status import OPEN, STATES
from portal.messages.rules.report_conflicts import ReportConflict, find_conflict

FINAL_STATES = [name for name, state in STATES.items() if state.final]
CONFLICTING_OUTCOMES, SENT_AND_NOT_SENT = ReportConflict.CONFLICTING_OUTCOMES, ReportConflict.SENT_AND_NOT_SENT


@pytest.mark.parametrize(
    ("recorded", "reported", "kind"),
    [
        ("delivered", "undelivered", CONFLICTING_OUTCOMES),
        ("delivered", "failed", CONFLICTING_OUTCOMES),
        ("delivered", "opted_out", CONFLICTING_OUTCOMES),
        ("delivered", "canceled", CONFLICTING_OUTCOMES),
        ("undelivered", "delivered", CONFLICTING_OUTCOMES),
        ("failed", "delivered", CONFLICTING_OUTCOMES),
        ("opted_out", "delivered", CONFLICTING_OUTCOMES),
        ("undelivered", "failed", None),
        ("failed", "opted_out", None),
        ("delivered", "delivered", None),
        ("delivered", "sent", None),
        ("undelivered", "accepted", None),
        ("undelivered", "", None),
    ],
)
def test_delivered_and_undelivered_conflict(recorded: str, reported: str, kind: ReportConflict | None) -> None:
    assert find_conflict(recorded, "SM1", reported, "SM1") is kind
    assert find_conflict(recorded, "SM1", reported, "SM2") is None, "each message has its own outcome"


@pytest.mark.parametrize("recorded", FINAL_STATES)
@pytest.mark.parametrize("reported", ["accepted", "sent", "delivered", "failed", ""])
def test_any_report_of_a_text_without_message_conflicts(recorded: str, reported: str) -> None:
    assert find_conflict(recorded, None, reported, "SM1") is SENT_AND_NOT_SENT


@pytest.mark.parametrize("reported", ["accepted", "delivered", "failed"])
def test_any_report_of_a_simulated_text_conflicts(reported: str) -> None:
    assert find_conflict("simulated", "SM1", reported, "SM2") is SENT_AND_NOT_SENT


@pytest.mark.parametrize("recorded", OPEN)
@pytest.mark.parametrize("reported", ["accepted", "sent", "delivered", "failed", ""])
def test_no_report_conflicts_with_an_open_state(recorded: str, reported: str) -> None:
    for provider_id in (None, "SM1"):
        assert find_conflict(recorded, provider_id, reported, "SM1") is None


def test_rejection_conflicts_only_with_a_known_message() -> None:
    assert find_conflict("sent", "SM1", "rejected", "") is SENT_AND_NOT_SENT
    assert find_conflict("sending", None, "rejected", "") is None
