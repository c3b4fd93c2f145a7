"""Scenarios 10 and 11: callbacks ten times over, backwards, early, forged, late, for strangers, and not at all."""

from fault_engines import turn_of
from fault_oracle import check_moves, judge
from fault_report import Report
from fault_stage import LONG, Stage
from fault_visitor import tell


@turn_of("sqlite")
def test_callbacks_repeated_reversed_early_or_forged_have_one_effect(stage: Stage, report: Report) -> None:
    """They overtake Twilio's own answer, which takes 300 ms."""
    audience = stage.people(100 if LONG else 8)
    receipts = {"delay_ms": [0, 40], "duplicate": 9, "reorder": True}
    stage.outside.faults(latency_ms=300, receipts=receipts)
    send = stage.send(audience)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    assert stage.states(send) == {"delivered": len(audience.places)}
    kept = "SELECT provider_id, status, error_code, count(*) FROM receipt GROUP BY 1, 2, 3 HAVING count(*) > 1"
    assert not stage.database.rows(kept)
    told = _tell_nonsense(stage, audience.numbers[0])
    assert stage.states(send) == {"delivered": len(audience.places)}
    check_moves(stage, send)
    report.add("10 callbacks x10, backwards, forged", stage.engine, told_afterwards=told, **found.figures())


def _tell_nonsense(stage: Stage, number: str) -> int:
    """A week later: a forged one, one signed with the test token, one for a stranger's text, and old ones again."""
    (text,) = stage.outside.texts_to(number)
    attempt = stage.database.value("SELECT attempt_id FROM delivery WHERE address = :n AND channel = 'sms'", n=number)
    about = {"MessageSid": text["sid"], "MessageStatus": "failed", "ErrorCode": "30008"}
    assert tell(stage, about, attempt, token="somebody else's").status_code == 403
    assert tell(stage, about, attempt, token="simulator-test-token").status_code == 403
    stranger = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered"}
    assert tell(stage, stranger, "nobody").status_code == 204
    kept = "SELECT count(*) FROM receipt WHERE provider_id = :sid"
    assert stage.database.value(kept, sid=stranger["MessageSid"]) == 1
    for status in ("queued", "sent", "delivered"):
        assert tell(stage, {"MessageSid": text["sid"], "MessageStatus": status}, attempt).status_code == 204
    assert tell(stage, about, attempt).status_code == 204
    return 7


@turn_of("sqlite")
def test_texts_whose_callbacks_never_come_are_asked_after(stage: Stage, report: Report) -> None:
    audience = stage.people(100 if LONG else 15)
    stage.outside.faults(receipts={"drop": 1})
    send = stage.send(audience)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    assert stage.states(send) == {"delivered": len(audience.places)}
    fetched = len(stage.outside.calls("fetch"))
    assert fetched >= len(audience.places)
    report.add("11 no callbacks at all", stage.engine, asked=fetched, **found.figures())
