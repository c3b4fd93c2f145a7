"""Accepted texts without a receipt: their status is fetched at most three times, and then shown as unreported."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import delete

from portal.core.extensions import db
from portal.core.rules.delivery_status import LAST_RECEIPT_CHECK_MS
from portal.delivery import reconciliation
from portal.delivery.receipts import record_receipt
from portal.gateways.provider import ProviderUnavailable
from portal.messages import timeline
from portal.messages.tables.communications import Delivery
from portal.settings import setting_changes
from portal.settings.tables.setting_values import AppSetting
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")

MINUTE_MS = 60_000
CHECKS_MS = (10 * MINUTE_MS, 60 * MINUTE_MS, LAST_RECEIPT_CHECK_MS)
NO_RECEIPT, ON_ITS_WAY = "Final status not reported", "Accepted for delivery"


@pytest.fixture(autouse=True)
def two_texts(app: object, simulator: servers.SimulatorClient) -> None:
    """Two accepted texts, for which no receipt comes."""
    simulator.set_faults(receipts={"final": "none"})
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    servers.wait_for(_both_accepted, "both texts to be accepted")


def _both_accepted() -> bool:
    """On a busy machine a text may miss its slot and take a later one."""
    scenario.run_sms_worker()
    return scenario.count_states("sms") == {"accepted": 2}


def delete_credentials() -> None:
    db.session.execute(delete(AppSetting).where(AppSetting.name == "SmsGatewayAuthentication"))
    db.session.commit()


def replace_credentials() -> None:
    other = json.dumps({"AccountSid": "AC" + "f" * 32, "AuthToken": "another account's"})
    setting_changes.set_setting("SmsGatewayAuthentication", other, None, scenario.now_ms())


def check_receipts_after(after_ms: int) -> None:
    """Run the check a little after this much time."""
    db.session.remove()
    reconciliation.fetch_missing_receipts(lambda: scenario.now_ms() + after_ms + MINUTE_MS)
    db.session.remove()


def displayed_states() -> list[str]:
    return [timeline.describe_state(delivery)[0] for delivery in scenario.deliveries("sms")]


def fetch_call_count(simulator: servers.SimulatorClient) -> int:
    return len([call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "fetch"])


def lose_message(index: int) -> None:
    """Twilio no longer has the message, as if it was deleted there."""
    delivery = db.session.get_one(Delivery, scenario.deliveries("sms")[index].id)
    delivery.provider_id = f"SM{index:032x}"
    db.session.commit()


def test_status_is_fetched_three_times_at_most(simulator: servers.SimulatorClient) -> None:
    for index, after_ms in enumerate(CHECKS_MS):
        assert NO_RECEIPT not in displayed_states()
        for _ in range(2):
            check_receipts_after(after_ms)
        assert fetch_call_count(simulator) == 2 * (index + 1)
    assert displayed_states() == [NO_RECEIPT] * 2


@pytest.mark.parametrize("remove_credentials", [delete_credentials, replace_credentials])
def test_checks_expire_without_usable_credentials(
    simulator: servers.SimulatorClient, remove_credentials: Callable[[], None]
) -> None:
    remove_credentials()
    for after_ms in CHECKS_MS:
        assert displayed_states() == [ON_ITS_WAY] * 2
        check_receipts_after(after_ms)
    assert displayed_states() == [NO_RECEIPT] * 2
    assert fetch_call_count(simulator) == 0


def test_restored_credentials_are_used_at_the_next_check(simulator: servers.SimulatorClient) -> None:
    delete_credentials()
    check_receipts_after(CHECKS_MS[0])
    scenario.configure_gateway()
    check_receipts_after(CHECKS_MS[0])
    assert fetch_call_count(simulator) == 0
    check_receipts_after(CHECKS_MS[1])
    assert fetch_call_count(simulator) == 2


def test_message_missing_at_twilio_does_not_block_other_checks(
    simulator: servers.SimulatorClient,
) -> None:
    lose_message(0)
    for index, after_ms in enumerate(CHECKS_MS):
        assert NO_RECEIPT not in displayed_states()
        check_receipts_after(after_ms)
        assert fetch_call_count(simulator) == 2 * (index + 1), "one round checks both"
    assert displayed_states() == [NO_RECEIPT] * 2


def test_receipt_after_the_last_check_still_counts() -> None:
    delete_credentials()
    check_receipts_after(LAST_RECEIPT_CHECK_MS)
    row = scenario.deliveries("sms")[0]
    record_receipt(
        {"MessageSid": str(row.provider_id), "MessageStatus": "delivered"}, str(row.attempt_id), scenario.now_ms()
    )
    assert displayed_states() == ["Delivered", NO_RECEIPT]


def test_last_check_is_retried_for_two_days(
    simulator: servers.SimulatorClient,
) -> None:
    for after_ms in CHECKS_MS[:2]:
        check_receipts_after(after_ms)
    simulator.set_faults(rules=[{"kind": "500_before", "call": "fetch"}])
    for minutes in (0, 3):
        for _ in range(2):
            with pytest.raises(ProviderUnavailable):
                check_receipts_after(LAST_RECEIPT_CHECK_MS + minutes * MINUTE_MS)
        assert NO_RECEIPT not in displayed_states(), "a fetch without an answer does not count"
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            check_receipts_after(2 * LAST_RECEIPT_CHECK_MS + MINUTE_MS)
    assert displayed_states() == [NO_RECEIPT] * 2
