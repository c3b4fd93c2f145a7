"""A rejection while others are accepted concerns the recipient; if everybody is rejected, it concerns us."""

from typing import Any

import pytest
from sqlalchemy import update

from portal.core.extensions import db
from portal.delivery import mail_server_status
from portal.delivery.tables.mail_server import MailServer
from portal.messages.tables.communications import Delivery
from portal.messages.timeline import describe_state
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
DEAD, GOOD = 12, 3
YAHOO = "554 delivery error: dd This user doesn't have an account"
EXCHANGE = "550 5.4.1 Recipient address rejected: Access denied"
UNCLEAR = "554 5.7.1 Not today"


def send_to_all(simulator: servers.SimulatorClient, faults: list[dict[str, Any]]) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(DEAD + GOOD)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(smtp=faults)
    scenario.run_email_worker()


def rejecting_faults(reply: str) -> list[dict[str, Any]]:
    return [{"kind": "reply_rcpt", "to": f"p{index}@example.org", "reply": reply} for index in range(DEAD)]


@pytest.mark.one_engine
@pytest.mark.parametrize("reply", [YAHOO, EXCHANGE, UNCLEAR, "550 5.7.1 Rejected", "554 Transaction failed"])
def test_rejected_addresses_in_a_row_do_not_delay_others(simulator: servers.SimulatorClient, reply: str) -> None:
    send_to_all(simulator, rejecting_faults(reply))
    assert scenario.count_states("email") == {"rejected": DEAD, "handed_off": GOOD}
    assert mail_server_status.mail_server_status().down_since_ms is None
    details = {describe_state(row)[2] for row in scenario.deliveries("email") if row.state == "rejected"}
    assert all("Ask the person for another address" in detail for detail in details)


@pytest.mark.one_engine
def test_deferred_addresses_in_a_row_do_not_delay_others(simulator: servers.SimulatorClient) -> None:
    send_to_all(simulator, rejecting_faults("451 4.3.0 Temporary lookup failure"))
    assert scenario.count_states("email") == {"ready": DEAD, "handed_off": GOOD}
    assert mail_server_status.mail_server_status().down_since_ms is None


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "reply", [UNCLEAR, "554 Transaction failed", "554 5.7.1 Relay access denied", "451 4.3.0 Later"]
)
def test_server_rejecting_everybody_loses_no_email(simulator: servers.SimulatorClient, reply: str) -> None:
    send_to_all(simulator, [{"kind": "reply_rcpt", "reply": reply}])
    assert scenario.count_states("email") == {"ready": DEAD + GOOD}
    assert mail_server_status.mail_server_status().down_since_ms is not None
    simulator.set_faults()
    db.session.execute(update(Delivery).values(due_at_ms=0))
    db.session.execute(update(MailServer).values(retry_at_ms=0))
    db.session.commit()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": DEAD + GOOD}


def test_full_mailbox_does_not_stop_the_others(simulator: servers.SimulatorClient) -> None:
    send_to_all(
        simulator, [{"kind": "reply_rcpt", "to": "p1@example.org", "reply": "554 Quota exceeded (mailbox full)"}]
    )
    assert scenario.count_states("email") == {"rejected": 1, "handed_off": DEAD + GOOD - 1}
    (rejected,) = [row for row in scenario.deliveries("email") if row.state == "rejected"]
    assert (rejected.error_code, "make room" in describe_state(rejected)[2]) == ("5.2.2", True)
