"""What Twilio tells of the account, its numbers, services and registrations, with Twilio's own client where it can."""

from email.utils import parsedate_to_datetime
from time import time

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.simulator.simulator_server import FROM, LIVE_SID, LIVE_TOKEN, SimulatorServer

KEY = ("SK00000000000000000000000000000003", "simulator-key-secret")
SERVICE = "MG" + "a" * 32


@pytest.fixture
def messaging_client(clean_simulator: SimulatorServer) -> Client:
    """Twilio's client, its messaging host led to the simulator as well."""
    client = clean_simulator.client()
    client.messaging.base_url = clean_simulator.url
    return client


def test_a_suspended_account_says_so_and_sends_nothing(clean_simulator: SimulatorServer, twilio_client: Client) -> None:
    clean_simulator.set_faults(account={"status": "suspended", "type": "Trial"})
    account = twilio_client.api.accounts(LIVE_SID).fetch()
    assert (account.status, account.type) == ("suspended", "Trial")
    answer = clean_simulator.send()
    assert (answer.status_code, answer.json()["code"]) == (403, 20005)
    assert clean_simulator.list_messages() == []


def test_a_number_without_texts_says_so_and_cannot_send(
    clean_simulator: SimulatorServer, twilio_client: Client
) -> None:
    clean_simulator.set_faults(account={"sms": False, "number_type": "toll_free"})
    (number,) = twilio_client.incoming_phone_numbers.list(phone_number=FROM)
    assert (number.capabilities["sms"], number.type) == (False, "toll_free")
    assert clean_simulator.send().json()["code"] == 21606


def test_the_addresses_of_a_number_are_kept_until_a_reset(
    clean_simulator: SimulatorServer, twilio_client: Client
) -> None:
    (number,) = twilio_client.incoming_phone_numbers.list(phone_number=FROM)
    assert (number.status_callback, number.sms_application_sid) == ("", None)
    number.update(status_callback="https://here.example/status", sms_method="GET", sms_application_sid="AP" + "1" * 32)
    kept = twilio_client.incoming_phone_numbers(number.sid).fetch()
    assert kept.status_callback == "https://here.example/status"
    assert (kept.sms_method, kept.sms_application_sid) == ("GET", "AP" + "1" * 32)
    kept.update(sms_application_sid="")
    assert twilio_client.incoming_phone_numbers(number.sid).fetch().sms_application_sid is None
    with pytest.raises(TwilioRestException) as refused:
        number.update(status_callback="https://under_score.example/")
    assert refused.value.code == 21609
    clean_simulator.post("/simulator/reset", {})
    assert twilio_client.incoming_phone_numbers(number.sid).fetch().status_callback == ""


@pytest.mark.parametrize("seconds", [0, 95, -95])
def test_the_clock_of_its_answers_can_be_wrong(clean_simulator: SimulatorServer, seconds: int) -> None:
    clean_simulator.set_faults(clock_skew_seconds=seconds)
    answer = requests.get(f"{clean_simulator.messages_url}?PageSize=1", auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time() - seconds) < 20


def test_a_service_keeps_its_addresses(clean_simulator: SimulatorServer, messaging_client: Client) -> None:
    service = messaging_client.messaging_client.v1.services(SERVICE).fetch()
    assert (service.inbound_request_url, service.us_app_to_person_registered) == (None, True)
    updated = service.update(
        inbound_request_url="https://here.example/in", status_callback="https://here.example/status"
    )
    assert updated.inbound_request_url == "https://here.example/in"
    assert (
        messaging_client.messaging_client.v1.services(SERVICE).fetch().status_callback == "https://here.example/status"
    )
    with pytest.raises(TwilioRestException) as refused:
        messaging_client.messaging_client.v1.services("MG1").fetch()
    assert (refused.value.status, refused.value.code) == (404, 20404)


@pytest.mark.parametrize("status", ["IN_PROGRESS", "VERIFIED", "FAILED", None])
def test_a_services_campaign(clean_simulator: SimulatorServer, messaging_client: Client, status: str | None) -> None:
    clean_simulator.set_faults(account={"campaign": status})
    found = messaging_client.messaging_client.v1.services(SERVICE).us_app_to_person.list()
    assert [campaign.campaign_status for campaign in found] == ([status] if status else [])


@pytest.mark.parametrize("status", ["PENDING_REVIEW", "TWILIO_REJECTED", None])
def test_a_toll_free_numbers_verification(
    clean_simulator: SimulatorServer, messaging_client: Client, status: str | None
) -> None:
    clean_simulator.set_faults(account={"toll_free": status})
    found = messaging_client.messaging_client.v1.tollfree_verifications.list(tollfree_phone_number_sid="PN" + "1" * 32)
    assert [verification.status for verification in found] == ([status] if status else [])


def test_a_standard_key_may_do_all_but_read_the_account(clean_simulator: SimulatorServer) -> None:
    account = f"{clean_simulator.url}/2010-04-01/Accounts/{LIVE_SID}"
    refused = requests.get(f"{account}.json", auth=KEY, timeout=10)
    assert (refused.status_code, refused.json()["code"]) == (401, 20003)
    assert requests.get(f"{account}/IncomingPhoneNumbers.json", auth=KEY, timeout=10).status_code == 200
    form = {"To": "+12025550123", "From": FROM, "Body": "Hello"}
    created = requests.post(f"{account}/Messages.json", data=form, auth=KEY, timeout=10)
    assert (created.status_code, created.json()["account_sid"]) == (201, LIVE_SID)
    assert requests.get(f"{account}/Messages.json", auth=KEY, timeout=10).json()["messages"]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"account": {"status": "asleep"}}, "status must be one of active, suspended, closed"),
        ({"account": {"colour": "red"}}, "colour: no such setting"),
        ({"account": 7}, "account must be a JSON object"),
        ({"clock_skew_seconds": "late"}, "clock_skew_seconds must be a number"),
    ],
)
def test_nonsense_is_refused(clean_simulator: SimulatorServer, faults: dict[str, object], words: str) -> None:
    answer = requests.put(f"{clean_simulator.url}/simulator/faults", json=faults, timeout=10)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
