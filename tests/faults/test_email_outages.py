"""Scenario 8: the mail server is down, defers, rejects, hangs, or disconnects after taking an email."""

from tests.faults.support.engine_marks import on_engine_in_short_run
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_emails, check_invariants
from tests.faults.support.timing import LONG_RUN

_KINDS = ("451_rcpt", "421", "hang_after_data", "drop_after_data", "550_rcpt")


@on_engine_in_short_run("postgresql")
def test_mail_server_faults_lose_no_email_and_delay_no_text(environment: FaultEnvironment, report: FaultReport) -> None:
    """Each kind of fault affects the first email to its own recipients; texts are delivered meanwhile."""
    audience = environment.sends.create_recipients(50 if LONG_RUN else 15)
    rejected = [index for position, index in enumerate(audience.indexes) if _fault_kind(position) == "550_rcpt"]
    rules = [
        {"kind": _fault_kind(position), "to": f"{index}@example.org", "count": 1, "seconds": 0.3}
        for position, index in enumerate(audience.indexes)
    ]
    environment.simulator.set_faults(smtp=[{"kind": "refuse_connect", "count": 2}, *rules])
    send = environment.sends.create(audience)
    environment.progress.wait_until_settled(send)
    repeated = _check_rejected_and_delivered(environment, send, len(rejected))
    assert environment.progress.count_states(send) == {"delivered": len(audience.indexes)}
    report.add("8 mail server faults", environment.engine, rejected=len(rejected), emails_repeated=repeated)


def _fault_kind(position: int) -> str:
    return _KINDS[position % len(_KINDS)]


def _check_rejected_and_delivered(environment: FaultEnvironment, send: int, rejected: int) -> int:
    """Check that permanent rejections are recorded and everything else arrived; returns how many arrived twice."""
    assert environment.progress.count_states(send, "email").get("rejected") == rejected
    query = "SELECT count(*) FROM delivery WHERE send_id = :send AND state = 'rejected' AND error_code = '5.1.1'"
    assert environment.database.value(query, send=send) == rejected
    return check_emails(environment, send, rejected)


@on_engine_in_short_run("sqlite")
def test_an_outage_of_one_channel_does_not_delay_the_other(environment: FaultEnvironment, report: FaultReport) -> None:
    audience = environment.sends.create_recipients(10)
    environment.simulator.set_faults(smtp=[{"kind": "refuse_connect"}])
    send = environment.sends.create(audience)
    environment.wait(lambda: environment.progress.count_states(send) == {"delivered": 10}, "the texts", send=send)
    assert "handed_off" not in environment.progress.count_states(send, "email")
    environment.simulator.set_faults(rules=[{"kind": "500_before"}])
    second = environment.sends.create_recipients(10)
    later = environment.sends.create(second)
    environment.progress.wait_until_emails_handed_off(send, later)
    assert "accepted" not in environment.progress.count_states(later)
    environment.simulator.set_faults()
    environment.progress.wait_until_settled(later)
    outcome = check_invariants(environment, later, second.phone_numbers)
    report.add("8 one channel down", environment.engine, **outcome.figures())
