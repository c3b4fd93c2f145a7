"""Texts that left and were not heard of again: asked after three times at most, and then shown as what they are."""

import json
from collections.abc import Callable

import pytest
import urllib3
from sqlalchemy import delete

from portal.core.extensions import db
from portal.core.rules.delivery_status import LAST_RECEIPT_CHECK_MS
from portal.delivery import reconciliation
from portal.delivery.receipts import record_receipt
from portal.gateways import twilio_messages
from portal.gateways.provider import ProviderUnavailable
from portal.messages import timeline
from portal.messages.tables.communications import Delivery
from portal.settings import app_settings
from portal.settings.tables.setting_values import AppSetting
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")

MINUTE_MS = 60_000
LOOKS_MS = (10 * MINUTE_MS, 60 * MINUTE_MS, LAST_RECEIPT_CHECK_MS)
UNREPORTED, ON_ITS_WAY = "Final status not reported", "Accepted for delivery"


@pytest.fixture(autouse=True)
def two_texts(app: object, simulator: servers.SimulatorClient) -> None:
    """Accepted, and no receipt comes."""
    simulator.set_faults(receipts={"final": "none"})
    scenario.configure_gateway()
    scenario.create_accounts(2, with_sms=2)
    scenario.add_template()
    scenario.create_expanded_send()
    servers.wait_for(_both_accepted, "both texts to be accepted")


def _both_accepted() -> bool:
    """On a busy machine a text may miss its slot and take a later turn."""
    scenario.run_sms_worker()
    return scenario.count_states("sms") == {"accepted": 2}


def delete_credentials() -> None:
    db.session.execute(delete(AppSetting).where(AppSetting.name == "SmsGatewayAuthentication"))
    db.session.commit()


def other_credentials() -> None:
    other = json.dumps({"AccountSid": "AC" + "f" * 32, "AuthToken": "another account's"})
    app_settings.set_setting("SmsGatewayAuthentication", other, None, scenario.now_ms())


def check_receipts_after(after_ms: int) -> None:
    """The sweep's turn, a little after so long."""
    db.session.remove()
    reconciliation.fetch_missing_receipts(lambda: scenario.now_ms() + after_ms + MINUTE_MS)
    db.session.remove()


def displayed_states() -> list[str]:
    return [timeline.describe_state(delivery)[0] for delivery in scenario.deliveries("sms")]


def fetch_call_count(simulator: servers.SimulatorClient) -> int:
    return len([call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "fetch"])


def lose_message(place: int) -> None:
    """Twilio has no such message: it was deleted there."""
    delivery = db.session.get_one(Delivery, scenario.deliveries("sms")[place].id)
    delivery.provider_id = f"SM{place:032x}"
    db.session.commit()


def test_a_text_is_asked_after_three_times_and_then_shown_as_unreported(simulator: servers.SimulatorClient) -> None:
    for place, after_ms in enumerate(LOOKS_MS):
        assert UNREPORTED not in displayed_states()
        for _ in range(2):
            check_receipts_after(after_ms)
        assert fetch_call_count(simulator) == 2 * (place + 1)
    assert displayed_states() == [UNREPORTED] * 2


@pytest.mark.parametrize("nobody_to_ask", [delete_credentials, other_credentials])
def test_the_last_look_passes_although_nobody_can_be_asked(
    simulator: servers.SimulatorClient, nobody_to_ask: Callable[[], None]
) -> None:
    nobody_to_ask()
    for after_ms in LOOKS_MS:
        assert displayed_states() == [ON_ITS_WAY] * 2
        check_receipts_after(after_ms)
    assert displayed_states() == [UNREPORTED] * 2
    assert fetch_call_count(simulator) == 0


def test_credentials_that_come_back_are_asked_with_at_the_next_look(simulator: servers.SimulatorClient) -> None:
    delete_credentials()
    check_receipts_after(LOOKS_MS[0])
    scenario.configure_gateway()
    check_receipts_after(LOOKS_MS[0])
    assert fetch_call_count(simulator) == 0
    check_receipts_after(LOOKS_MS[1])
    assert fetch_call_count(simulator) == 2


def test_what_twilio_does_not_have_passes_its_looks_and_keeps_no_other_text_waiting(
    simulator: servers.SimulatorClient,
) -> None:
    lose_message(0)
    for place, after_ms in enumerate(LOOKS_MS):
        assert UNREPORTED not in displayed_states()
        check_receipts_after(after_ms)
        assert fetch_call_count(simulator) == 2 * (place + 1), "one turn asks after both"
    assert displayed_states() == [UNREPORTED] * 2


def test_a_404_of_something_before_twilio_is_no_answer_of_twilios() -> None:
    html = urllib3.HTTPResponse(b"<html>404 Not Found</html>", status=404)
    assert not twilio_messages._is_missing(html)
    with pytest.raises(ProviderUnavailable):
        twilio_messages._parse_page(html)


def test_news_that_come_after_the_last_look_still_count() -> None:
    delete_credentials()
    check_receipts_after(LAST_RECEIPT_CHECK_MS)
    row = scenario.deliveries("sms")[0]
    record_receipt(
        {"MessageSid": str(row.provider_id), "MessageStatus": "delivered"}, str(row.attempt_id), scenario.now_ms()
    )
    assert displayed_states() == ["Delivered", UNREPORTED]


def test_the_last_look_is_repeated_until_somebody_answers_and_ends_after_two_days(
    simulator: servers.SimulatorClient,
) -> None:
    for after_ms in LOOKS_MS[:2]:
        check_receipts_after(after_ms)
    simulator.set_faults(rules=[{"kind": "500_before", "call": "fetch"}])
    for minutes in (0, 3):
        for _ in range(2):
            with pytest.raises(ProviderUnavailable):
                check_receipts_after(LAST_RECEIPT_CHECK_MS + minutes * MINUTE_MS)
        assert UNREPORTED not in displayed_states(), "a question without an answer is no look"
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            check_receipts_after(2 * LAST_RECEIPT_CHECK_MS + MINUTE_MS)
    assert displayed_states() == [UNREPORTED] * 2
