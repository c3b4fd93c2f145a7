"""The Messages API, called with Twilio's own client library."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from tests.simulator.simulator_server import FROM, LIVE_SID, LIVE_TOKEN, OTHER_FROM, TEST_SID, TO, Simulator, wait_for

SERVICE = "MG" + "0" * 32


def test_a_text_is_created_and_fetched(simulator_client: Client) -> None:
    created = simulator_client.messages.create(to=TO, from_=FROM, body="Hello")
    assert (created.status, created.direction, created.num_segments) == ("queued", "outbound-api", "1")
    assert created.date_sent is None
    assert isinstance(created.date_created, datetime)
    fetched = wait_for(
        lambda: (text := simulator_client.messages(created.sid).fetch()).status == "delivered" and text, "delivery"
    )
    assert (fetched.body, fetched.to, fetched.from_, fetched.error_code) == ("Hello", TO, FROM, None)
    assert fetched.date_sent.tzinfo is not None


def test_the_resource_has_twilios_types(simulator_fresh: Simulator) -> None:
    response = simulator_fresh.send("x" * 161)
    resource = response.json()
    assert response.status_code == 201
    assert resource["num_segments"] == "2"
    assert resource["num_media"] == "0"
    assert resource["uri"] == f"/2010-04-01/Accounts/{LIVE_SID}/Messages/{resource['sid']}.json"
    assert resource["subresource_uris"] == {
        "media": f"/2010-04-01/Accounts/{LIVE_SID}/Messages/{resource['sid']}/Media.json"
    }
    assert resource["date_created"].endswith("+0000")
    assert resource["price"] is None
    assert "Date" in response.headers
    assert float(response.headers["Twilio-Request-Duration"]) >= 0


def test_a_service_chooses_the_sending_number_later(simulator_client: Client) -> None:
    created = simulator_client.messages.create(to=TO, messaging_service_sid=SERVICE, body="Hello")
    assert (created.status, created.from_, created.num_segments) == ("accepted", None, "0")
    fetched = wait_for(
        lambda: (text := simulator_client.messages(created.sid).fetch()).status == "delivered" and text, "delivery"
    )
    assert fetched.from_ == FROM


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21604),
        ({"Body": ""}, 21602),
        ({"From": ""}, 21603),
        ({"To": "12345"}, 21211),
        ({"To": "+11234567890"}, 21211),
        ({"From": "call me"}, 21212),
        ({"From": "+12025550199"}, 21606),
        ({"Body": "x" * 1601}, 21617),
        ({"Body": "😀" * 801}, 21617),
        ({"StatusCallback": "ftp://example.org/"}, 21609),
        ({"StatusCallback": "http://under_score.example.org/"}, 21609),
        ({"To": FROM}, 21266),
        ({"From": "", "MessagingServiceSid": "MGinvalid"}, 21705),
        ({"ValidityPeriod": "0"}, 21624),
        ({"ValidityPeriod": "36001"}, 21624),
        ({"ValidityPeriod": "soon"}, 21624),
    ],
)
def test_an_invalid_request_gets_twilios_error_code(
    simulator_fresh: Simulator, change: dict[str, str], code: int
) -> None:
    form = {"To": TO, "From": FROM, "Body": "Hello", **change}
    response = requests.post(simulator_fresh.messages_url, data=form, auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    body = response.json()
    assert (response.status_code, body["code"], body["status"]) == (400, code, 400)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert simulator_fresh.accepted() == []


@pytest.mark.parametrize("auth", [(LIVE_SID, "wrong"), (TEST_SID, "simulator-test-token"), ("", ""), None])
def test_invalid_credentials_get_401(simulator_fresh: Simulator, auth: tuple[str, str] | None) -> None:
    response = requests.post(simulator_fresh.messages_url, data={"To": TO}, auth=auth, timeout=10)
    assert (response.status_code, response.json()["code"]) == (401, 20003)
    assert simulator_fresh.log()[-1]["outcome"] == "20003"


def test_an_unknown_text_gets_404(simulator_client: Client) -> None:
    with pytest.raises(TwilioRestException) as error:
        simulator_client.messages("SM" + "0" * 32).fetch()
    assert (error.value.status, error.value.code) == (404, 20404)


def test_a_text_can_be_redacted_then_deleted(simulator_fresh: Simulator, simulator_client: Client) -> None:
    sid = simulator_client.messages.create(to=TO, from_=FROM, body="Secret").sid
    wait_for(lambda: simulator_client.messages(sid).fetch().status == "delivered", "delivery")
    assert simulator_client.messages(sid).update(body="").body == ""
    assert simulator_client.messages(sid).fetch().body == ""
    assert simulator_client.messages(sid).delete()
    with pytest.raises(TwilioRestException):
        simulator_client.messages(sid).fetch()
    assert simulator_client.messages.list() == []
    assert "Secret" in requests.get(f"{simulator_fresh.url}/handsets/{TO}", timeout=10).text


def test_the_list_has_pages_with_the_newest_first(simulator_client: Client) -> None:
    sids = [simulator_client.messages.create(to=TO, from_=FROM, body=f"Text {n}").sid for n in range(7)]
    assert [message.sid for message in simulator_client.messages.list(page_size=3)] == sids[::-1]
    first = simulator_client.messages.page(page_size=3)
    assert len(list(first)) == 3
    second = first.next_page()
    assert second is not None
    assert [message.sid for message in second] == sids[::-1][3:6]


def test_a_new_text_does_not_shift_the_next_page(simulator_client: Client) -> None:
    sids = [simulator_client.messages.create(to=TO, from_=FROM, body=f"Text {n}").sid for n in range(4)]
    first = simulator_client.messages.page(page_size=2)
    simulator_client.messages.create(to=TO, from_=FROM, body="Later")
    second = first.next_page()
    assert second is not None
    assert [message.sid for message in second] == [sids[1], sids[0]]


def test_the_list_can_be_filtered_by_number(simulator_client: Client) -> None:
    mine = simulator_client.messages.create(to=TO, from_=FROM, body="One").sid
    simulator_client.messages.create(to="+12025550124", from_=OTHER_FROM, body="Two")
    assert [message.sid for message in simulator_client.messages.list(to=TO)] == [mine]
    assert [message.sid for message in simulator_client.messages.list(from_=FROM)] == [mine]
    assert simulator_client.messages.list(to=TO, from_=OTHER_FROM) == []


def test_the_list_can_be_filtered_by_date(simulator_client: Client) -> None:
    sid = simulator_client.messages.create(to=TO, from_=FROM, body="Hello").sid
    wait_for(lambda: simulator_client.messages(sid).fetch().date_sent, "sending")
    now, minute = datetime.now(UTC), timedelta(minutes=1)
    assert simulator_client.messages.list(date_sent_after=now - minute, date_sent_before=now + minute)
    assert simulator_client.messages.list(date_sent_after=now + minute) == []
    assert simulator_client.messages.list(date_sent_before=now - minute) == []


def test_an_invalid_page_token_is_rejected(simulator_fresh: Simulator) -> None:
    url = simulator_fresh.messages_url + "?PageToken=invalid"
    response = requests.get(url, auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, 21481)


@pytest.mark.parametrize(
    ("from_number", "to", "code"),
    [
        ("+15005550001", TO, 21212),
        ("+15005550007", TO, 21606),
        ("+15005550008", TO, 21611),
        (FROM, TO, 21606),
        ("+15005550006", "+15005550001", 21211),
        ("+15005550006", "+15005550002", 21612),
        ("+15005550006", "+15005550003", 21408),
        ("+15005550006", "+15005550004", 21610),
        ("+15005550006", "+15005550009", 21614),
    ],
)
def test_magic_numbers_fail_with_twilios_error_code(
    simulator_test_client: Client, from_number: str, to: str, code: int
) -> None:
    with pytest.raises(TwilioRestException) as error:
        simulator_test_client.messages.create(to=to, from_=from_number, body="Hello")
    assert (error.value.status, error.value.code) == (400, code)


def test_test_credentials_deliver_nothing(simulator_fresh: Simulator, simulator_test_client: Client) -> None:
    created = simulator_test_client.messages.create(to=TO, from_="+15005550006", body="Only a test")
    assert created.status == "queued"
    assert created.sid is not None
    with pytest.raises(TwilioRestException) as error:
        simulator_test_client.messages(created.sid).fetch()
    assert (error.value.status, error.value.code) == (403, 20008)
    with pytest.raises(TwilioException):
        simulator_test_client.messages.list()
    assert "Only a test" not in requests.get(f"{simulator_fresh.url}/handsets/{TO}", timeout=10).text


def test_the_account_lists_its_numbers(simulator_client: Client) -> None:
    account = simulator_client.api.accounts(LIVE_SID).fetch()
    assert (account.status, account.type) == ("active", "Full")
    (number,) = simulator_client.incoming_phone_numbers.list(phone_number=FROM)
    assert number.capabilities["sms"]
    updated = simulator_client.incoming_phone_numbers(number.sid).update(sms_url="http://127.0.0.1:9/inbound")
    assert updated.sms_url == "http://127.0.0.1:9/inbound"
