"""The account, its phone numbers, services and registrations, read with Twilio's own client where possible."""

from email.utils import parsedate_to_datetime
from time import time

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.simulator.simulator_server import FROM, LIVE_SID, LIVE_TOKEN, Simulator

KEY = ("SK00000000000000000000000000000003", "simulator-key-secret")
SERVICE = "MG" + "a" * 32


@pytest.fixture
def messaging(simulator_fresh: Simulator) -> Client:
    """Twilio's client with its messaging host pointed at the simulator too."""
    client = simulator_fresh.client()
    client.messaging.base_url = simulator_fresh.url
    return client


def test_a_suspended_account_cannot_send(simulator_fresh: Simulator, simulator_client: Client) -> None:
    simulator_fresh.faults(account={"status": "suspended", "type": "Trial"})
    account = simulator_client.api.accounts(LIVE_SID).fetch()
    assert (account.status, account.type) == ("suspended", "Trial")
    response = simulator_fresh.send()
    assert (response.status_code, response.json()["code"]) == (403, 20005)
    assert simulator_fresh.accepted() == []


def test_a_number_without_sms_cannot_send(simulator_fresh: Simulator, simulator_client: Client) -> None:
    simulator_fresh.faults(account={"sms": False, "number_type": "toll_free"})
    (number,) = simulator_client.incoming_phone_numbers.list(phone_number=FROM)
    assert (number.capabilities["sms"], number.type) == (False, "toll_free")
    assert simulator_fresh.send().json()["code"] == 21606


def test_webhook_settings_of_a_number_last_until_a_reset(simulator_fresh: Simulator, simulator_client: Client) -> None:
    (number,) = simulator_client.incoming_phone_numbers.list(phone_number=FROM)
    assert (number.status_callback, number.sms_application_sid) == ("", None)
    number.update(status_callback="https://here.example/status", sms_method="GET", sms_application_sid="AP" + "1" * 32)
    stored = simulator_client.incoming_phone_numbers(number.sid).fetch()
    assert stored.status_callback == "https://here.example/status"
    assert (stored.sms_method, stored.sms_application_sid) == ("GET", "AP" + "1" * 32)
    stored.update(sms_application_sid="")
    assert simulator_client.incoming_phone_numbers(number.sid).fetch().sms_application_sid is None
    with pytest.raises(TwilioRestException) as error:
        number.update(status_callback="https://under_score.example/")
    assert error.value.code == 21609
    simulator_fresh.post("/simulator/reset", {})
    assert simulator_client.incoming_phone_numbers(number.sid).fetch().status_callback == ""


@pytest.mark.parametrize("seconds", [0, 95, -95])
def test_the_date_header_can_be_skewed(simulator_fresh: Simulator, seconds: int) -> None:
    simulator_fresh.faults(clock_skew_seconds=seconds)
    response = requests.get(f"{simulator_fresh.messages_url}?PageSize=1", auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    assert abs(parsedate_to_datetime(response.headers["Date"]).timestamp() - time() - seconds) < 20


def test_a_service_stores_its_webhook_urls(simulator_fresh: Simulator, messaging: Client) -> None:
    service = messaging.messaging.v1.services(SERVICE).fetch()
    assert (service.inbound_request_url, service.us_app_to_person_registered) == (None, True)
    updated = service.update(
        inbound_request_url="https://here.example/in", status_callback="https://here.example/status"
    )
    assert updated.inbound_request_url == "https://here.example/in"
    assert messaging.messaging.v1.services(SERVICE).fetch().status_callback == "https://here.example/status"
    with pytest.raises(TwilioRestException) as error:
        messaging.messaging.v1.services("MG1").fetch()
    assert (error.value.status, error.value.code) == (404, 20404)


@pytest.mark.parametrize("status", ["IN_PROGRESS", "VERIFIED", "FAILED", None])
def test_a_service_lists_its_campaign(simulator_fresh: Simulator, messaging: Client, status: str | None) -> None:
    simulator_fresh.faults(account={"campaign": status})
    campaigns = messaging.messaging.v1.services(SERVICE).us_app_to_person.list()
    assert [campaign.campaign_status for campaign in campaigns] == ([status] if status else [])


@pytest.mark.parametrize("status", ["PENDING_REVIEW", "TWILIO_REJECTED", None])
def test_a_toll_free_number_lists_its_verification(
    simulator_fresh: Simulator, messaging: Client, status: str | None
) -> None:
    simulator_fresh.faults(account={"toll_free": status})
    verifications = messaging.messaging.v1.tollfree_verifications.list(tollfree_phone_number_sid="PN" + "1" * 32)
    assert [verification.status for verification in verifications] == ([status] if status else [])


def test_a_standard_key_cannot_read_the_account(simulator_fresh: Simulator) -> None:
    account = f"{simulator_fresh.url}/2010-04-01/Accounts/{LIVE_SID}"
    refused = requests.get(f"{account}.json", auth=KEY, timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (401, 20003)
    assert requests.get(f"{account}/IncomingPhoneNumbers.json", auth=KEY, timeout=10).status_code == 200
    form = {"To": "+12025550123", "From": FROM, "Body": "Hello"}
    created = requests.post(f"{account}/Messages.json", data=form, auth=KEY, timeout=10)
    assert (created.status_code, created.json()["account_sid"]) == (201, LIVE_SID)
    assert requests.get(f"{account}/Messages.json", auth=KEY, timeout=10).json()["messages"]


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"account": {"status": "asleep"}}, "status must be one of active, suspended, closed"),
        ({"account": {"colour": "red"}}, "colour: no such setting"),
        ({"account": 7}, "account must be a JSON object"),
        ({"clock_skew_seconds": "late"}, "clock_skew_seconds must be a number"),
    ],
)
def test_invalid_fault_settings_are_rejected(
    simulator_fresh: Simulator, faults: dict[str, object], message: str
) -> None:
    response = requests.put(f"{simulator_fresh.url}/simulator/faults", json=faults, timeout=10)
    assert response.status_code == 400
    assert message in response.json()["error"]
