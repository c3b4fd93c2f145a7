"""A refusal of one recipient, while others are taken, is the recipient's; what refuses everybody is ours."""

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


def rejecting_faults(words: str) -> list[dict[str, Any]]:
    return [{"kind": "reply_rcpt", "to": f"p{number}@example.org", "reply": words} for number in range(DEAD)]


@pytest.mark.one_engine
@pytest.mark.parametrize("words", [YAHOO, EXCHANGE, UNCLEAR, "550 5.7.1 Rejected", "554 Transaction failed"])
def test_twelve_dead_addresses_in_a_row_hold_up_nobody(simulator: servers.SimulatorClient, words: str) -> None:
    send_to_all(simulator, rejecting_faults(words))
    assert scenario.count_states("email") == {"rejected": DEAD, "handed_off": GOOD}
    assert mail_server_status.mail_server_status().down_since_ms is None
    told = {describe_state(row)[2] for row in scenario.deliveries("email") if row.state == "rejected"}
    assert all("Ask the person for another address" in each for each in told)


@pytest.mark.one_engine
def test_nor_do_twelve_whose_own_servers_ask_to_wait(simulator: servers.SimulatorClient) -> None:
    send_to_all(simulator, rejecting_faults("451 4.3.0 Temporary lookup failure"))
    assert scenario.count_states("email") == {"ready": DEAD, "handed_off": GOOD}
    assert mail_server_status.mail_server_status().down_since_ms is None


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "words", [UNCLEAR, "554 Transaction failed", "554 5.7.1 Relay access denied", "451 4.3.0 Later"]
)
def test_a_server_that_refuses_everybody_costs_nobody_their_mail(
    simulator: servers.SimulatorClient, words: str
) -> None:
    send_to_all(simulator, [{"kind": "reply_rcpt", "reply": words}])
    assert scenario.count_states("email") == {"ready": DEAD + GOOD}
    assert mail_server_status.mail_server_status().down_since_ms is not None
    simulator.set_faults()
    db.session.execute(update(Delivery).values(due_at_ms=0))
    db.session.execute(update(MailServer).values(retry_at_ms=0))
    db.session.commit()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": DEAD + GOOD}


def test_a_mailbox_that_is_full_says_so_and_others_go(simulator: servers.SimulatorClient) -> None:
    send_to_all(
        simulator, [{"kind": "reply_rcpt", "to": "p1@example.org", "reply": "554 Quota exceeded (mailbox full)"}]
    )
    assert scenario.count_states("email") == {"rejected": 1, "handed_off": DEAD + GOOD - 1}
    (refused,) = [row for row in scenario.deliveries("email") if row.state == "rejected"]
    assert (refused.error_code, "make room" in describe_state(refused)[2]) == ("5.2.2", True)
