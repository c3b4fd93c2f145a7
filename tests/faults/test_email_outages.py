"""Scenario 8: the mail server is away, asks to wait, refuses, hangs or hangs up after taking the mail."""

from tests.faults.support.engine_marks import on_engine_in_short_run
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_emails, check_invariants

_KINDS = ("451_rcpt", "421", "hang_after_data", "drop_after_data", "550_rcpt")


@on_engine_in_short_run("postgresql")
def test_mail_trouble_costs_no_mail_and_holds_up_no_text(environment: FaultEnvironment, report: FaultReport) -> None:
    """Each kind of trouble strikes the first mail to its own people; texts leave meanwhile as if nothing were."""
    audience = environment.create_recipients(50 if LONG_RUN else 15)
    refused = [number for place, number in enumerate(audience.indexes) if _fault_kind(place) == "550_rcpt"]
    rules = [
        {"kind": _fault_kind(place), "to": f"{number}@example.org", "count": 1, "seconds": 0.3}
        for place, number in enumerate(audience.indexes)
    ]
    environment.simulator.set_faults(smtp=[{"kind": "refuse_connect", "count": 2}, *rules])
    send = environment.create_send(audience)
    environment.wait_until_settled(send)
    found = _check_rejected_and_delivered(environment, send, len(refused))
    assert environment.count_states(send) == {"delivered": len(audience.indexes)}
    report.add("8 mail trouble", environment.engine, refused=len(refused), mails_twice=found)


def _fault_kind(place: int) -> str:
    return _KINDS[place % len(_KINDS)]


def _check_rejected_and_delivered(stage: FaultEnvironment, send: int, refused: int) -> int:
    """A refusal for good is said in plain words; everything else arrived, if twice then under one Message-ID."""
    assert stage.count_states(send, "email").get("rejected") == refused
    query = "SELECT count(*) FROM delivery WHERE send_id = :send AND state = 'rejected' AND error_code = '5.1.1'"
    assert stage.database.value(query, send=send) == refused
    return check_emails(stage, send, refused)


@on_engine_in_short_run("sqlite")
def test_texts_do_not_wait_for_a_mail_server_that_is_away_nor_mails_for_twilio(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    audience = environment.create_recipients(10)
    environment.simulator.set_faults(smtp=[{"kind": "refuse_connect"}])
    send = environment.create_send(audience)
    environment.wait(lambda: environment.count_states(send) == {"delivered": 10}, "the texts", send=send)
    assert "handed_off" not in environment.count_states(send, "email")
    environment.simulator.set_faults(rules=[{"kind": "500_before"}])
    second = environment.create_recipients(10)
    later = environment.create_send(second)
    environment.wait_until_emails_handed_off(send, later)
    assert "accepted" not in environment.count_states(later)
    environment.simulator.set_faults()
    environment.wait_until_settled(later)
    found = check_invariants(environment, later, second.phone_numbers)
    report.add("8 one channel away", environment.engine, **found.figures())
