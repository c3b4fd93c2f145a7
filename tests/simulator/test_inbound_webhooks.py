"""Texts typed on a handset: opt-outs, the webhook, and what it answers."""

import pytest
import requests
from twilio.rest import Client

from simulator.keywords import keyword_of, reply_to
from tests.simulator.simulator_server import FROM, LIVE_SID, TO, SimulatorServer, WebhookReceiver, wait_for


def _handset_page(simulator: SimulatorServer) -> str:
    return requests.get(f"{simulator.url}/handsets/{TO}", timeout=10).text


def test_an_inbound_text_is_posted_signed(clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver) -> None:
    made = clean_simulator.send_from_handset(" Grüße & more ")
    (posted,) = webhook_receiver.posts
    assert made["deliveries"] == [{"status": 200, "error": None}]
    assert posted.is_signed()
    assert posted.params["Body"] == " Grüße & more "
    assert posted.params["MessageSid"] == posted.params["SmsMessageSid"] == posted.params["SmsSid"] == made["sid"]
    assert (posted.params["From"], posted.params["To"], posted.params["AccountSid"]) == (TO, FROM, LIVE_SID)
    assert (posted.params["SmsStatus"], posted.params["NumMedia"], posted.params["FromCity"]) == ("received", "0", "")
    assert "OptOutType" not in posted.params


def test_an_inbound_text_is_listed(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver, twilio_client: Client
) -> None:
    made = clean_simulator.send_from_handset("Hello there")
    (listed,) = twilio_client.messages.list(to=FROM)
    assert (listed.sid, listed.direction, listed.status, listed.body) == (
        made["sid"],
        "inbound",
        "received",
        "Hello there",
    )


def test_the_same_inbound_text_is_posted_again(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    sid = "SM" + "a" * 32
    clean_simulator.send_from_handset("START", message_sid=sid, deliver=2)
    clean_simulator.send_from_handset("START", message_sid=sid)
    assert [each.params["MessageSid"] for each in webhook_receiver.posts] == [sid] * 3
    assert len(clean_simulator.list_messages(direction="inbound")) == 1


def test_an_inbound_text_is_kept_when_nobody_listens(clean_simulator: SimulatorServer, twilio_client: Client) -> None:
    for number in twilio_client.incoming_phone_numbers.list():
        number.update(sms_url="http://127.0.0.1:9/nobody")
    made = clean_simulator.send_from_handset("STOP")
    assert made["deliveries"][0]["status"] is None
    assert [each.body for each in twilio_client.messages.list(from_=TO)] == ["STOP"]
    assert clean_simulator.send().json()["code"] == 21610


@pytest.mark.parametrize("word", ["STOP", "stopall", " Unsubscribe ", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
def test_stop_blocks_and_start_lifts(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver, word: str
) -> None:
    clean_simulator.send_from_handset(word)
    assert "successfully been unsubscribed" in _handset_page(clean_simulator)
    assert "<strong>Stopped.</strong>" in _handset_page(clean_simulator)
    refused = clean_simulator.send()
    assert (refused.status_code, refused.json()["code"]) == (400, 21610)
    assert clean_simulator.send(From="+12025550101").status_code == 201
    clean_simulator.send_from_handset("start")
    assert clean_simulator.send().status_code == 201
    assert "<strong>Stopped.</strong>" not in _handset_page(clean_simulator)
    assert [each.params["Body"] for each in webhook_receiver.posts] == [word, "start"]


@pytest.mark.parametrize(
    ("number", "known", "unknown"),
    [
        (FROM, ["STOP", "revoke", "OptOut", "YES", "INFO"], ["TD", "opt out", "ARRET", "AIDE", "stop."]),
        ("+18335550100", ["STOP", "unstop", "HELP"], ["YES", "TD", "ayuda"]),
        ("60606", [], ["STOP", "START", "HELP"]),
    ],
)
def test_twilio_reads_its_own_keywords_and_nothing_at_a_short_code(
    number: str, known: list[str], unknown: list[str]
) -> None:
    assert all(keyword_of(word, number) for word in known)
    assert not any(keyword_of(word, number) for word in unknown)


def test_the_toll_free_network_answers_stop_in_words_of_its_own() -> None:
    assert reply_to("stop", "+18335550100").startswith("NETWORK MSG")
    assert "successfully been unsubscribed" in reply_to("stop", FROM)


def test_stop_with_more_words_blocks_nothing(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    clean_simulator.send_from_handset("stop please")
    assert clean_simulator.send().status_code == 201


def test_help_is_answered_by_twilio_and_hidden_from_the_list(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver, twilio_client: Client
) -> None:
    clean_simulator.send_from_handset("HELP")
    assert "Reply STOP to unsubscribe. Msg&amp;Data" in _handset_page(clean_simulator)
    assert [each.direction for each in twilio_client.messages.list()] == ["inbound"]


def test_a_twiml_answer_reaches_the_handset(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver, twilio_client: Client
) -> None:
    webhook_receiver.reply_body = (
        "<Response><Message>Plain &amp; simple</Message><Message><Body>Two</Body></Message></Response>"
    )
    made = clean_simulator.send_from_handset("What now?")
    assert len(made["replies"]) == 2
    wait_for(lambda: "Plain &amp; simple" in _handset_page(clean_simulator), "the reply on the handset")
    assert [each.direction for each in twilio_client.messages.list(to=TO)] == ["outbound-reply"] * 2


def test_a_twiml_answer_to_a_stopped_handset_is_dropped(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    webhook_receiver.reply_body = "<Response><Message>Please stay</Message></Response>"
    assert clean_simulator.send_from_handset("STOP")["replies"] == []


def test_a_broken_twiml_answer_sends_nothing(
    clean_simulator: SimulatorServer, webhook_receiver: WebhookReceiver
) -> None:
    webhook_receiver.reply_body = "<Response><Message>Oops"
    assert clean_simulator.send_from_handset("Hi")["replies"] == []
