"""What came back from outside is written down, whatever breaks off the run that asked for it."""

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
    """Breaks off whatever asks it, once the condition holds; before that nothing is to stop."""

    def stop() -> bool:
        if condition():
            raise Interrupted
        return False

    return stop


def test_texts_under_way_are_written_down_when_their_run_breaks_off(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(8, with_sms=8)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(latency_ms=300, receipts={"drop": 1})
    calls = lambda: [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]  # noqa: E731
    with pytest.raises(Interrupted):
        scenario.run_sms_worker(until=interrupt_when(lambda: len(calls()) >= 3))
    left = len(simulator.accepted_texts())
    count_states = scenario.count_states("sms")
    assert count_states.get("accepted") == left >= 3
    assert "sending" not in count_states


@pytest.mark.parametrize("begun", [1, 2])
def test_mails_that_were_taken_are_written_down_when_their_run_breaks_off(
    simulator: servers.SimulatorClient, begun: int
) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    scenario.create_expanded_send()
    found = settings()
    with SmtpGateway(found.smtp_url, found.mail_from) as gateway, pytest.raises(Interrupted):
        email_worker.send_batch(
            claim_emails(scenario.now_ms(), 3),
            gateway,
            interrupt_when(lambda: len(simulator.received_emails()) >= begun),
        )
    assert len(simulator.received_emails()) == begun
    assert scenario.count_states("email") == {"handed_off": begun, "ready": 3 - begun}, (
        "what was not begun is given back"
    )


def test_a_database_that_is_busy_is_tried_again_until_the_time_is_over() -> None:
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


def test_patience_ends_before_supervisors_lose_theirs() -> None:
    """Calls in flight take as long as the gateway may; both together stay within the 45 and 60 seconds of a stop."""
    assert settings().sms_timeout_seconds <= 15
    assert database_retry._MAX_RETRY_SECONDS + 15 <= 45
    db.session.remove()
