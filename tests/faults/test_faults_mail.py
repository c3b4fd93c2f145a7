"""Scenario 8: the mail server is away, asks to wait, refuses, hangs or hangs up after taking the mail."""

from fault_engines import turn_of
from fault_oracle import check_mails, judge
from fault_report import Report
from fault_stage import LONG, Stage

_KINDS = ("451_rcpt", "421", "hang_after_data", "drop_after_data", "550_rcpt")


@turn_of("postgresql")
def test_mail_trouble_costs_no_mail_and_holds_up_no_text(stage: Stage, report: Report) -> None:
    """Each kind of trouble strikes the first mail to its own people; texts leave meanwhile as if nothing were."""
    audience = stage.people(50 if LONG else 15)
    refused = [number for place, number in enumerate(audience.places) if _kind(place) == "550_rcpt"]
    rules = [
        {"kind": _kind(place), "to": f"{number}@example.org", "count": 1, "seconds": 0.3}
        for place, number in enumerate(audience.places)
    ]
    stage.outside.faults(smtp=[{"kind": "refuse_connect", "count": 2}, *rules])
    send = stage.send(audience)
    stage.settled(send)
    found = _after_trouble(stage, send, len(refused))
    assert stage.states(send) == {"delivered": len(audience.places)}
    report.add("8 mail trouble", stage.engine, refused=len(refused), mails_twice=found)


def _kind(place: int) -> str:
    return _KINDS[place % len(_KINDS)]


def _after_trouble(stage: Stage, send: int, refused: int) -> int:
    """A refusal for good is said in plain words; everything else arrived, if twice then under one Message-ID."""
    assert stage.states(send, "email").get("rejected") == refused
    query = "SELECT count(*) FROM delivery WHERE send_id = :send AND state = 'rejected' AND error_code = '5.1.1'"
    assert stage.database.value(query, send=send) == refused
    return check_mails(stage, send, refused)


@turn_of("sqlite")
def test_texts_do_not_wait_for_a_mail_server_that_is_away_nor_mails_for_twilio(stage: Stage, report: Report) -> None:
    audience = stage.people(10)
    stage.outside.faults(smtp=[{"kind": "refuse_connect"}])
    send = stage.send(audience)
    stage.wait(lambda: stage.states(send) == {"delivered": 10}, "the texts", send=send)
    assert "mailed" not in stage.states(send, "email")
    stage.outside.faults(rules=[{"kind": "500_before"}])
    second = stage.people(10)
    later = stage.send(second)
    stage.settled_mails(send, later)
    assert "accepted" not in stage.states(later)
    stage.outside.faults()
    stage.settled(later)
    found = judge(stage, later, second.numbers)
    report.add("8 one channel away", stage.engine, **found.figures())
