"""Twilio's own client library against the API."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from tests.simulator.simulator_server import (
    FROM,
    LIVE_SID,
    LIVE_TOKEN,
    OTHER_FROM,
    TEST_SID,
    TO,
    SimulatorServer,
    wait_for,
)

SERVICE = "MG" + "0" * 32


def test_a_text_is_created_and_fetched(twilio_client: Client) -> None:
    created = twilio_client.messages.create(to=TO, from_=FROM, body="Hello")
    assert (created.status, created.direction, created.num_segments) == ("queued", "outbound-api", "1")
    assert created.date_sent is None
    assert isinstance(created.date_created, datetime)
    fetched = wait_for(
        lambda: (found := twilio_client.messages(created.sid).fetch()).status == "delivered" and found, "delivery"
    )
    assert (fetched.body, fetched.to, fetched.from_, fetched.error_code) == ("Hello", TO, FROM, None)
    assert fetched.date_sent.tzinfo is not None


def test_the_resource_has_twilios_types(clean_simulator: SimulatorServer) -> None:
    answer = clean_simulator.send("x" * 161)
    shown = answer.json()
    assert answer.status_code == 201
    assert shown["num_segments"] == "2"
    assert shown["num_media"] == "0"
    assert shown["uri"] == f"/2010-04-01/Accounts/{LIVE_SID}/Messages/{shown['sid']}.json"
    assert shown["subresource_uris"] == {"media": f"/2010-04-01/Accounts/{LIVE_SID}/Messages/{shown['sid']}/Media.json"}
    assert shown["date_created"].endswith("+0000")
    assert shown["price"] is None
    assert "Date" in answer.headers
    assert float(answer.headers["Twilio-Request-Duration"]) >= 0


def test_a_service_chooses_the_sender_later(twilio_client: Client) -> None:
    created = twilio_client.messages.create(to=TO, messaging_service_sid=SERVICE, body="Hello")
    assert (created.status, created.from_, created.num_segments) == ("accepted", None, "0")
    fetched = wait_for(
        lambda: (found := twilio_client.messages(created.sid).fetch()).status == "delivered" and found, "delivery"
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
        ({"From": "", "MessagingServiceSid": "MGnonsense"}, 21705),
        ({"ValidityPeriod": "0"}, 21624),
        ({"ValidityPeriod": "36001"}, 21624),
        ({"ValidityPeriod": "soon"}, 21624),
    ],
)
def test_a_bad_request_is_refused_with_twilios_code(
    clean_simulator: SimulatorServer, change: dict[str, str], code: int
) -> None:
    form = {"To": TO, "From": FROM, "Body": "Hello", **change}
    answer = requests.post(clean_simulator.messages_url, data=form, auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (400, code, 400)
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert clean_simulator.list_messages() == []


@pytest.mark.parametrize("auth", [(LIVE_SID, "wrong"), (TEST_SID, "simulator-test-token"), ("", ""), None])
def test_a_stranger_gets_401(clean_simulator: SimulatorServer, auth: tuple[str, str] | None) -> None:
    answer = requests.post(clean_simulator.messages_url, data={"To": TO}, auth=auth, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert clean_simulator.request_log()[-1]["outcome"] == "20003"


def test_an_unknown_text_is_404(twilio_client: Client) -> None:
    with pytest.raises(TwilioRestException) as refused:
        twilio_client.messages("SM" + "0" * 32).fetch()
    assert (refused.value.status, refused.value.code) == (404, 20404)


def test_a_text_is_redacted_then_deleted(clean_simulator: SimulatorServer, twilio_client: Client) -> None:
    sid = twilio_client.messages.create(to=TO, from_=FROM, body="Secret").sid
    wait_for(lambda: twilio_client.messages(sid).fetch().status == "delivered", "delivery")
    assert twilio_client.messages(sid).update(body="").body == ""
    assert twilio_client.messages(sid).fetch().body == ""
    assert twilio_client.messages(sid).delete()
    with pytest.raises(TwilioRestException):
        twilio_client.messages(sid).fetch()
    assert twilio_client.messages.list() == []
    assert "Secret" in requests.get(f"{clean_simulator.url}/handsets/{TO}", timeout=10).text


def test_the_list_is_newest_first_and_is_paged(twilio_client: Client) -> None:
    sids = [twilio_client.messages.create(to=TO, from_=FROM, body=f"Text {n}").sid for n in range(7)]
    assert [each.sid for each in twilio_client.messages.list(page_size=3)] == sids[::-1]
    first = twilio_client.messages.page(page_size=3)
    assert len(list(first)) == 3
    second = first.next_page()
    assert second is not None
    assert [each.sid for each in second] == sids[::-1][3:6]


def test_a_page_stays_put_while_new_texts_come_in(twilio_client: Client) -> None:
    sids = [twilio_client.messages.create(to=TO, from_=FROM, body=f"Text {n}").sid for n in range(4)]
    first = twilio_client.messages.page(page_size=2)
    twilio_client.messages.create(to=TO, from_=FROM, body="Later")
    second = first.next_page()
    assert second is not None
    assert [each.sid for each in second] == [sids[1], sids[0]]


def test_the_list_is_filtered_by_number(twilio_client: Client) -> None:
    mine = twilio_client.messages.create(to=TO, from_=FROM, body="One").sid
    twilio_client.messages.create(to="+12025550124", from_=OTHER_FROM, body="Two")
    assert [each.sid for each in twilio_client.messages.list(to=TO)] == [mine]
    assert [each.sid for each in twilio_client.messages.list(from_=FROM)] == [mine]
    assert twilio_client.messages.list(to=TO, from_=OTHER_FROM) == []


def test_the_list_is_filtered_by_date(twilio_client: Client) -> None:
    sid = twilio_client.messages.create(to=TO, from_=FROM, body="Hello").sid
    wait_for(lambda: twilio_client.messages(sid).fetch().date_sent, "sending")
    now, minute = datetime.now(UTC), timedelta(minutes=1)
    assert twilio_client.messages.list(date_sent_after=now - minute, date_sent_before=now + minute)
    assert twilio_client.messages.list(date_sent_after=now + minute) == []
    assert twilio_client.messages.list(date_sent_before=now - minute) == []


def test_a_wrong_page_token_is_refused(clean_simulator: SimulatorServer) -> None:
    url = clean_simulator.messages_url + "?PageToken=nonsense"
    answer = requests.get(url, auth=(LIVE_SID, LIVE_TOKEN), timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (400, 21481)


@pytest.mark.parametrize(
    ("sender", "to", "code"),
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
def test_magic_numbers_fail_as_twilio_says(twilio_test_client: Client, sender: str, to: str, code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        twilio_test_client.messages.create(to=to, from_=sender, body="Hello")
    assert (refused.value.status, refused.value.code) == (400, code)


def test_test_credentials_accept_and_deliver_nothing(
    clean_simulator: SimulatorServer, twilio_test_client: Client
) -> None:
    created = twilio_test_client.messages.create(to=TO, from_="+15005550006", body="Only a test")
    assert created.status == "queued"
    assert created.sid is not None
    with pytest.raises(TwilioRestException) as refused:
        twilio_test_client.messages(created.sid).fetch()
    assert (refused.value.status, refused.value.code) == (403, 20008)
    with pytest.raises(TwilioException):
        twilio_test_client.messages.list()
    assert "Only a test" not in requests.get(f"{clean_simulator.url}/handsets/{TO}", timeout=10).text


def test_the_account_and_its_numbers(twilio_client: Client) -> None:
    account = twilio_client.api.accounts(LIVE_SID).fetch()
    assert (account.status, account.type) == ("active", "Full")
    (number,) = twilio_client.incoming_phone_numbers.list(phone_number=FROM)
    assert number.capabilities["sms"]
    updated = twilio_client.incoming_phone_numbers(number.sid).update(sms_url="http://127.0.0.1:9/inbound")
    assert updated.sms_url == "http://127.0.0.1:9/inbound"
