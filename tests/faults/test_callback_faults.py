"""Scenarios 10 and 11: callbacks ten times over, backwards, early, forged, late, for strangers, and not at all."""

from tests.faults.support.engine_marks import on_engine_in_short_run
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import post_status_callback
from tests.faults.support.invariants import check_invariants, check_transitions


@on_engine_in_short_run("sqlite")
def test_callbacks_repeated_reversed_early_or_forged_have_one_effect(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """They overtake Twilio's own answer, which takes 300 ms."""
    audience = environment.create_recipients(100 if LONG_RUN else 8)
    receipts = {"delay_ms": [0, 40], "duplicate": 9, "reorder": True}
    environment.simulator.set_faults(latency_ms=300, receipts=receipts)
    send = environment.create_send(audience)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    assert environment.count_states(send) == {"delivered": len(audience.indexes)}
    kept = "SELECT provider_id, status, error_code, count(*) FROM receipt GROUP BY 1, 2, 3 HAVING count(*) > 1"
    assert not environment.database.rows(kept)
    told = _post_invalid_callbacks(environment, audience.phone_numbers[0])
    assert environment.count_states(send) == {"delivered": len(audience.indexes)}
    check_transitions(environment, send)
    report.add("10 callbacks x10, backwards, forged", environment.engine, told_afterwards=told, **found.figures())


def _post_invalid_callbacks(stage: FaultEnvironment, number: str) -> int:
    """A week later: a forged one, one signed with the test token, one for a stranger's text, and old ones again."""
    (text,) = stage.simulator.texts_to(number)
    attempt = stage.database.value("SELECT attempt_id FROM delivery WHERE address = :n AND channel = 'sms'", n=number)
    about = {"MessageSid": text["sid"], "MessageStatus": "failed", "ErrorCode": "30008"}
    assert post_status_callback(stage, about, attempt, token="somebody else's").status_code == 403
    assert post_status_callback(stage, about, attempt, token="simulator-test-token").status_code == 403
    stranger = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered"}
    assert post_status_callback(stage, stranger, "nobody").status_code == 204
    kept = "SELECT count(*) FROM receipt WHERE provider_id = :sid"
    assert stage.database.value(kept, sid=stranger["MessageSid"]) == 1
    for status in ("queued", "sent", "delivered"):
        assert (
            post_status_callback(stage, {"MessageSid": text["sid"], "MessageStatus": status}, attempt).status_code
            == 204
        )
    assert post_status_callback(stage, about, attempt).status_code == 204
    return 7


@on_engine_in_short_run("sqlite")
def test_texts_whose_callbacks_never_come_are_asked_after(environment: FaultEnvironment, report: FaultReport) -> None:
    audience = environment.create_recipients(100 if LONG_RUN else 15)
    environment.simulator.set_faults(receipts={"drop": 1})
    send = environment.create_send(audience)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    assert environment.count_states(send) == {"delivered": len(audience.indexes)}
    fetched = len(environment.simulator.calls("fetch"))
    assert fetched >= len(audience.indexes)
    report.add("11 no callbacks at all", environment.engine, asked=fetched, **found.figures())
