"""Results from providers are recorded, whatever interrupts the run that asked for them."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from portal.core import database_retry
from portal.core.context import settings
from portal.core.database_retry import retry_on_database_error
from portal.core.extensions import db
from portal.delivery import email_worker
from portal.delivery.email_claim import claim_emails
from portal.gateways.smtp import SmtpGateway
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")


class Interrupted(BaseException):
    pass


def interrupt_when(condition: Callable[[], object]) -> Callable[[], bool]:
    """A stop condition that interrupts its caller once the condition holds, and returns false before."""

    def stop() -> bool:
        if condition():
            raise Interrupted
        return False

    return stop


def test_interrupted_sms_run_records_texts_in_flight(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(8, with_sms=8)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(latency_ms=300, receipts={"drop": 1})

    def create_calls() -> list[object]:
        return [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]

    with pytest.raises(Interrupted):
        scenario.run_sms_worker(until=interrupt_when(lambda: len(create_calls()) >= 3))
    sent = len(simulator.accepted_texts())
    states = scenario.count_states("sms")
    assert states.get("accepted") == sent >= 3
    assert "sending" not in states


@pytest.mark.parametrize("started", [1, 2])
def test_interrupted_email_run_records_sent_emails(simulator: servers.SimulatorClient, started: int) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    scenario.create_expanded_send()
    config = settings()
    with SmtpGateway(config.smtp_url, config.mail_from) as gateway, pytest.raises(Interrupted):
        email_worker.send_batch(
            claim_emails(scenario.now_ms(), 3),
            gateway,
            interrupt_when(lambda: len(simulator.received_emails()) >= started),
        )
    assert len(simulator.received_emails()) == started
    assert scenario.count_states("email") == {"handed_off": started, "ready": 3 - started}, (
        "unstarted emails are released"
    )


def test_busy_database_is_retried_until_the_time_limit() -> None:
    tries: list[float] = []

    def busy() -> str:
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise OperationalError("", {}, Exception("database is locked"))
        return "written"

    assert retry_on_database_error(busy) == "written"
    tries.clear()
    with pytest.raises(OperationalError):
        retry_on_database_error(busy, max_seconds=0.3)
    assert len(tries) == 2


def test_retry_limits_are_shorter_than_supervisor_timeouts() -> None:
    """Calls in flight take as long as the gateway may; both together stay within the 45 and 60 seconds of a stop."""
    assert settings().sms_timeout_seconds <= 15
    assert database_retry._MAX_RETRY_SECONDS + 15 <= 45
    db.session.remove()
