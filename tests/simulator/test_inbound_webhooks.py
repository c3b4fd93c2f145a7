"""Texts from a handset: opt-outs, the webhook and its TwiML replies."""

import pytest
import requests
from twilio.rest import Client

from simulator.messages.opt_out_keywords import auto_reply, keyword_of
from tests.simulator.simulator_server import FROM, LIVE_SID, TO, Simulator, WebhookServer, wait_for


def _handset_page(simulator: Simulator) -> str:
    return requests.get(f"{simulator.url}/handsets/{TO}", timeout=10).text


def test_an_inbound_text_is_posted_with_a_signature(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer
) -> None:
    result = simulator_fresh.send_from_handset(" Grüße & more ")
    (posted,) = simulator_webhooks.posts
    assert result["deliveries"] == [{"status": 200, "error": None}]
    assert posted.is_signed()
    assert posted.params["Body"] == " Grüße & more "
    assert posted.params["MessageSid"] == posted.params["SmsMessageSid"] == posted.params["SmsSid"] == result["sid"]
    assert (posted.params["From"], posted.params["To"], posted.params["AccountSid"]) == (TO, FROM, LIVE_SID)
    assert (posted.params["SmsStatus"], posted.params["NumMedia"], posted.params["FromCity"]) == ("received", "0", "")
    assert "OptOutType" not in posted.params


def test_an_inbound_text_is_listed(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer, simulator_client: Client
) -> None:
    result = simulator_fresh.send_from_handset("Hello there")
    (listed,) = simulator_client.messages.list(to=FROM)
    assert (listed.sid, listed.direction, listed.status, listed.body) == (
        result["sid"],
        "inbound",
        "received",
        "Hello there",
    )


def test_the_same_inbound_text_is_posted_again(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    sid = "SM" + "a" * 32
    simulator_fresh.send_from_handset("START", message_sid=sid, deliver=2)
    simulator_fresh.send_from_handset("START", message_sid=sid)
    assert [post.params["MessageSid"] for post in simulator_webhooks.posts] == [sid] * 3
    assert len(simulator_fresh.accepted(direction="inbound")) == 1


def test_an_inbound_text_is_stored_if_the_webhook_is_down(simulator_fresh: Simulator, simulator_client: Client) -> None:
    for number in simulator_client.incoming_phone_numbers.list():
        number.update(sms_url="http://127.0.0.1:9/nobody")
    result = simulator_fresh.send_from_handset("STOP")
    assert result["deliveries"][0]["status"] is None
    assert [message.body for message in simulator_client.messages.list(from_=TO)] == ["STOP"]
    assert simulator_fresh.send().json()["code"] == 21610


@pytest.mark.parametrize("word", ["STOP", "stopall", " Unsubscribe ", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
def test_stop_blocks_texts_until_start(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer, word: str
) -> None:
    simulator_fresh.send_from_handset(word)
    assert "successfully been unsubscribed" in _handset_page(simulator_fresh)
    assert "<strong>Opted out.</strong>" in _handset_page(simulator_fresh)
    rejected = simulator_fresh.send()
    assert (rejected.status_code, rejected.json()["code"]) == (400, 21610)
    assert simulator_fresh.send(From="+12025550101").status_code == 201
    simulator_fresh.send_from_handset("start")
    assert simulator_fresh.send().status_code == 201
    assert "<strong>Opted out.</strong>" not in _handset_page(simulator_fresh)
    assert [post.params["Body"] for post in simulator_webhooks.posts] == [word, "start"]


@pytest.mark.parametrize(
    ("number", "keywords", "other_words"),
    [
        (FROM, ["STOP", "revoke", "OptOut", "YES", "INFO"], ["TD", "opt out", "ARRET", "AIDE", "stop."]),
        ("+18335550100", ["STOP", "unstop", "HELP"], ["YES", "TD", "ayuda"]),
        ("60606", [], ["STOP", "START", "HELP"]),
    ],
)
def test_keywords_depend_on_the_type_of_number(number: str, keywords: list[str], other_words: list[str]) -> None:
    assert all(keyword_of(word, number) for word in keywords)
    assert not any(keyword_of(word, number) for word in other_words)


def test_a_toll_free_stop_gets_the_networks_reply() -> None:
    assert auto_reply("stop", "+18335550100").startswith("NETWORK MSG")
    assert "successfully been unsubscribed" in auto_reply("stop", FROM)


def test_stop_within_a_sentence_blocks_nothing(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    simulator_fresh.send_from_handset("stop please")
    assert simulator_fresh.send().status_code == 201


def test_the_reply_to_help_is_not_listed(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer, simulator_client: Client
) -> None:
    simulator_fresh.send_from_handset("HELP")
    assert "Reply STOP to unsubscribe. Msg&amp;Data" in _handset_page(simulator_fresh)
    assert [message.direction for message in simulator_client.messages.list()] == ["inbound"]


def test_a_twiml_reply_reaches_the_handset(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer, simulator_client: Client
) -> None:
    simulator_webhooks.response = (
        "<Response><Message>Plain &amp; simple</Message><Message><Body>Two</Body></Message></Response>"
    )
    result = simulator_fresh.send_from_handset("What now?")
    assert len(result["replies"]) == 2
    wait_for(lambda: "Plain &amp; simple" in _handset_page(simulator_fresh), "the reply on the handset")
    assert [message.direction for message in simulator_client.messages.list(to=TO)] == ["outbound-reply"] * 2


def test_a_twiml_reply_to_an_opted_out_handset_is_dropped(
    simulator_fresh: Simulator, simulator_webhooks: WebhookServer
) -> None:
    simulator_webhooks.response = "<Response><Message>Please stay</Message></Response>"
    assert simulator_fresh.send_from_handset("STOP")["replies"] == []


def test_invalid_twiml_sends_nothing(simulator_fresh: Simulator, simulator_webhooks: WebhookServer) -> None:
    simulator_webhooks.response = "<Response><Message>Oops"
    assert simulator_fresh.send_from_handset("Hi")["replies"] == []
