import pytest

from portal.core.rules.delivery_status import OPEN, STATES
from portal.messages.rules.report_conflicts import ProviderReport, RecordedState, ReportConflict, find_conflict

FINAL_STATES = [name for name, state in STATES.items() if state.final]
CONFLICTING_OUTCOMES, SENT_AND_NOT_SENT = ReportConflict.BOTH_ENDS, ReportConflict.BOTH_WAYS


@pytest.mark.parametrize(
    ("recorded", "told", "kind"),
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
def test_delivered_and_undelivered_conflict(recorded: str, told: str, kind: ReportConflict | None) -> None:
    assert find_conflict(RecordedState(recorded, "SM1"), ProviderReport(told, "SM1")) is kind
    assert find_conflict(RecordedState(recorded, "SM1"), ProviderReport(told, "SM2")) is None, (
        "each message has an end of its own"
    )


@pytest.mark.parametrize("recorded", FINAL_STATES)
@pytest.mark.parametrize("told", ["accepted", "sent", "delivered", "failed", ""])
def test_any_report_of_a_text_without_message_conflicts(recorded: str, told: str) -> None:
    assert find_conflict(RecordedState(recorded, None), ProviderReport(told, "SM1")) is SENT_AND_NOT_SENT


@pytest.mark.parametrize("told", ["accepted", "delivered", "failed"])
def test_any_report_of_a_simulated_text_conflicts(told: str) -> None:
    assert find_conflict(RecordedState("simulated", "SM1"), ProviderReport(told, "SM2")) is SENT_AND_NOT_SENT


@pytest.mark.parametrize("recorded", OPEN)
@pytest.mark.parametrize("told", ["accepted", "sent", "delivered", "failed", ""])
def test_what_still_moves_forward_contradicts_nothing(recorded: str, told: str) -> None:
    for provider_id in (None, "SM1"):
        assert find_conflict(RecordedState(recorded, provider_id), ProviderReport(told, "SM1")) is None


def test_a_refusal_contradicts_only_where_a_message_is_known() -> None:
    assert find_conflict(RecordedState("sent", "SM1"), ProviderReport("rejected", "")) is SENT_AND_NOT_SENT
    assert find_conflict(RecordedState("sending", None), ProviderReport("rejected", "")) is None
