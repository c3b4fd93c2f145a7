"""Texts typed on a handset: opt-outs, the webhook, and what it answers."""

import pytest
import requests
from simulator_tools import FROM, LIVE_SID, TO, Hook, Simulator, wait_for
from twilio.rest import Client

from simulator.keywords import keyword_of, reply_to


def _shown(simulator: Simulator) -> str:
    return requests.get(f"{simulator.url}/handsets/{TO}", timeout=10).text


def test_an_inbound_text_is_posted_signed(simulator_fresh: Simulator, simulator_hook: Hook) -> None:
    made = simulator_fresh.type_on_handset(" Grüße & more ")
    (posted,) = simulator_hook.posts
    assert made["deliveries"] == [{"status": 200, "error": None}]
    assert posted.is_signed()
    assert posted.params["Body"] == " Grüße & more "
    assert posted.params["MessageSid"] == posted.params["SmsMessageSid"] == posted.params["SmsSid"] == made["sid"]
    assert (posted.params["From"], posted.params["To"], posted.params["AccountSid"]) == (TO, FROM, LIVE_SID)
    assert (posted.params["SmsStatus"], posted.params["NumMedia"], posted.params["FromCity"]) == ("received", "0", "")
    assert "OptOutType" not in posted.params


def test_an_inbound_text_is_listed(simulator_fresh: Simulator, simulator_hook: Hook, simulator_client: Client) -> None:
    made = simulator_fresh.type_on_handset("Hello there")
    (listed,) = simulator_client.messages.list(to=FROM)
    assert (listed.sid, listed.direction, listed.status, listed.body) == (
        made["sid"],
        "inbound",
        "received",
        "Hello there",
    )


def test_the_same_inbound_text_is_posted_again(simulator_fresh: Simulator, simulator_hook: Hook) -> None:
    sid = "SM" + "a" * 32
    simulator_fresh.type_on_handset("START", message_sid=sid, deliver=2)
    simulator_fresh.type_on_handset("START", message_sid=sid)
    assert [each.params["MessageSid"] for each in simulator_hook.posts] == [sid] * 3
    assert len(simulator_fresh.accepted(direction="inbound")) == 1


def test_an_inbound_text_is_kept_when_nobody_listens(simulator_fresh: Simulator, simulator_client: Client) -> None:
    for number in simulator_client.incoming_phone_numbers.list():
        number.update(sms_url="http://127.0.0.1:9/nobody")
    made = simulator_fresh.type_on_handset("STOP")
    assert made["deliveries"][0]["status"] is None
    assert [each.body for each in simulator_client.messages.list(from_=TO)] == ["STOP"]
    assert simulator_fresh.send().json()["code"] == 21610


@pytest.mark.parametrize("word", ["STOP", "stopall", " Unsubscribe ", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"])
def test_stop_blocks_and_start_lifts(simulator_fresh: Simulator, simulator_hook: Hook, word: str) -> None:
    simulator_fresh.type_on_handset(word)
    assert "successfully been unsubscribed" in _shown(simulator_fresh)
    assert "<strong>Stopped.</strong>" in _shown(simulator_fresh)
    refused = simulator_fresh.send()
    assert (refused.status_code, refused.json()["code"]) == (400, 21610)
    assert simulator_fresh.send(From="+12025550101").status_code == 201
    simulator_fresh.type_on_handset("start")
    assert simulator_fresh.send().status_code == 201
    assert "<strong>Stopped.</strong>" not in _shown(simulator_fresh)
    assert [each.params["Body"] for each in simulator_hook.posts] == [word, "start"]


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


def test_stop_with_more_words_blocks_nothing(simulator_fresh: Simulator, simulator_hook: Hook) -> None:
    simulator_fresh.type_on_handset("stop please")
    assert simulator_fresh.send().status_code == 201


def test_help_is_answered_by_twilio_and_hidden_from_the_list(
    simulator_fresh: Simulator, simulator_hook: Hook, simulator_client: Client
) -> None:
    simulator_fresh.type_on_handset("HELP")
    assert "Reply STOP to unsubscribe. Msg&amp;Data" in _shown(simulator_fresh)
    assert [each.direction for each in simulator_client.messages.list()] == ["inbound"]


def test_a_twiml_answer_reaches_the_handset(
    simulator_fresh: Simulator, simulator_hook: Hook, simulator_client: Client
) -> None:
    simulator_hook.answer = (
        "<Response><Message>Plain &amp; simple</Message><Message><Body>Two</Body></Message></Response>"
    )
    made = simulator_fresh.type_on_handset("What now?")
    assert len(made["replies"]) == 2
    wait_for(lambda: "Plain &amp; simple" in _shown(simulator_fresh), "the reply on the handset")
    assert [each.direction for each in simulator_client.messages.list(to=TO)] == ["outbound-reply"] * 2


def test_a_twiml_answer_to_a_stopped_handset_is_dropped(simulator_fresh: Simulator, simulator_hook: Hook) -> None:
    simulator_hook.answer = "<Response><Message>Please stay</Message></Response>"
    assert simulator_fresh.type_on_handset("STOP")["replies"] == []


def test_a_broken_twiml_answer_sends_nothing(simulator_fresh: Simulator, simulator_hook: Hook) -> None:
    simulator_hook.answer = "<Response><Message>Oops"
    assert simulator_fresh.type_on_handset("Hi")["replies"] == []
