"""Scenarios 10 and 11: status callbacks repeated, reordered, early, forged, late, unknown and missing."""

from tests.faults.support.engine_marks import on_engine_in_short_run
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import post_status_callback
from tests.faults.support.invariants import check_invariants, check_transitions
from tests.faults.support.timing import LONG_RUN


@on_engine_in_short_run("sqlite")
def test_repeated_reordered_early_or_forged_callbacks_act_once(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Callbacks overtake Twilio's response to the request, which takes 300 ms."""
    audience = environment.sends.create_recipients(100 if LONG_RUN else 8)
    receipts = {"delay_ms": [0, 40], "duplicate": 9, "reorder": True}
    environment.simulator.set_faults(latency_ms=300, receipts=receipts)
    send = environment.sends.create(audience)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    assert environment.progress.count_states(send) == {"delivered": len(audience.indexes)}
    repeated = "SELECT provider_id, status, error_code, count(*) FROM receipt GROUP BY 1, 2, 3 HAVING count(*) > 1"
    assert not environment.database.rows(repeated)
    late = _post_late_callbacks(environment, audience.phone_numbers[0])
    assert environment.progress.count_states(send) == {"delivered": len(audience.indexes)}
    check_transitions(environment, send)
    report.add("10 callbacks repeated, reordered, forged", environment.engine, late_callbacks=late, **outcome.figures())


def _post_late_callbacks(environment: FaultEnvironment, phone_number: str) -> int:
    """Post two with a wrong signature, one for an unknown text and four repeats; returns how many."""
    (text,) = environment.simulator.texts_to(phone_number)
    attempt = environment.database.value(
        "SELECT attempt_id FROM delivery WHERE address = :n AND channel = 'sms'", n=phone_number
    )
    failed = {"MessageSid": text["sid"], "MessageStatus": "failed", "ErrorCode": "30008"}
    assert post_status_callback(environment, failed, attempt, token="wrong-token").status_code == 403
    assert post_status_callback(environment, failed, attempt, token="simulator-test-token").status_code == 403
    unknown = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered"}
    assert post_status_callback(environment, unknown, "unknown").status_code == 204
    stored = "SELECT count(*) FROM receipt WHERE provider_id = :sid"
    assert environment.database.value(stored, sid=unknown["MessageSid"]) == 1
    for status in ("queued", "sent", "delivered"):
        fields = {"MessageSid": text["sid"], "MessageStatus": status}
        assert post_status_callback(environment, fields, attempt).status_code == 204
    assert post_status_callback(environment, failed, attempt).status_code == 204
    return 7


@on_engine_in_short_run("sqlite")
def test_texts_without_callbacks_are_polled_from_twilio(environment: FaultEnvironment, report: FaultReport) -> None:
    audience = environment.sends.create_recipients(100 if LONG_RUN else 15)
    environment.simulator.set_faults(receipts={"drop": 1})
    send = environment.sends.create(audience)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    assert environment.progress.count_states(send) == {"delivered": len(audience.indexes)}
    fetched = len(environment.simulator.calls("fetch"))
    assert fetched >= len(audience.indexes)
    report.add("11 no callbacks", environment.engine, polls=fetched, **outcome.figures())
