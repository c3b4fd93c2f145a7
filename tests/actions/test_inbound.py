"""Texts from handsets: kept once, read, written to the ledger, and answered where Twilio does not."""

import json
import secrets

import handsets
import parts
import pytest
import world
from sqlalchemy import select

from portal.actions.inbound import take_inbound
from portal.extensions import db
from portal.models.consent import ConsentEvent
from portal.models.inbound import InboundMessage

pytestmark = pytest.mark.usefixtures("app")

NUMBER = world.number(0)
NOW = world.now_ms()


@pytest.fixture(autouse=True)
def one_person(app: object) -> None:
    global NOW  # not the moment of import: in a long run that is many minutes ago
    NOW = world.now_ms()
    world.open_gateway()
    world.people(1, with_sms=1)
    world.template()


def says(body: str, number: str = NUMBER, after_minutes: int = 0, **more: str) -> str | None:
    return handsets.says(body, number, NOW + after_minutes * handsets.MINUTE_MS, **more)


def sends_as(**sender: object) -> None:
    """Another kind of sending number."""
    world.open_gateway(SmsGatewaySettings=json.dumps({"FromNumber": parts.FROM, "SegmentsPerSecond": 500, **sender}))


def test_after_stop_nothing_is_texted_and_start_brings_the_texts_back(simulator: parts.Simulator) -> None:
    world.send()
    says("Stop")
    world.drain_texts()
    assert simulator.texts() == []
    assert world.deliveries("sms")[0].reason == "stopped"
    says("START", after_minutes=5)
    world.send()
    world.drain_texts(ahead_ms=6 * handsets.MINUTE_MS)
    assert len(simulator.texts()) == 2, f"the welcome and the notification: {world.states('sms')}"


def test_a_replayed_start_does_not_undo_a_later_stop() -> None:
    says("START", sid="SM1")
    says("STOP", after_minutes=3)
    for minutes in (4, 60, 10_000):
        says("START", sid="SM1", after_minutes=minutes)
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    assert handsets.kinds(NUMBER) == ["opt_in", "start", "stop"]


def test_what_was_said_stands_in_the_ledger_word_for_word() -> None:
    says("  Stop!  ", sid="SM1")
    says("START", sid="SM2", after_minutes=5)
    stop, start = db.session.scalars(
        select(ConsentEvent).where(ConsentEvent.source == "handset").order_by(ConsentEvent.id)
    )
    assert (stop.kind, stop.words, stop.message_sid, stop.occurred_at_ms) == ("stop", "  Stop!  ", "SM1", NOW)
    assert (stop.detail, stop.account_id) == ({"heard": "webhook", "to": parts.FROM}, None)
    assert (start.kind, start.message_sid, start.account_id) == ("start", "SM2", 1)
    assert handsets.replies(NUMBER)[0].raw["Body"] == "  Stop!  "


def test_a_refusal_in_other_words_is_marked_as_interpreted() -> None:
    says("please stop texting me")
    event = db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == "stop")).one()
    assert event.detail["interpreted"] is True
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    assert not handsets.replies(NUMBER)[0].asks


def test_any_other_text_is_kept_once_waits_for_somebody_and_changes_nothing() -> None:
    bodies = ["😀" * 1_600, "a\x00b", "", "who are you?", "\ufffd"]
    for place, body in enumerate(bodies):
        for _ in range(2):
            says(body, sid=f"SM{place}")
    kept = [(reply.body, reply.asks, reply.reading) for reply in handsets.replies(NUMBER)]
    assert kept == [(body.replace("\x00", ""), True, "unclear") for body in bodies]
    assert handsets.kinds(NUMBER) == ["opt_in"]


def test_help_is_kept_and_asks_nobody() -> None:
    says("Help!")
    assert handsets.kinds(NUMBER) == ["opt_in", "help"]
    assert not handsets.replies(NUMBER)[0].asks
    assert handsets.standing(NUMBER) == ("P-0", False, False)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_tapback_is_kept_without_work_and_changes_nothing(stopped: bool) -> None:
    if stopped:
        says("STOP")
    for body in ("Liked “STOP”", "Removed a like from “START”", "👍 to “HELP”", "Le gustó “STOP”", "A aimé « START »"):
        assert says(body, after_minutes=5) is None
    assert handsets.standing(NUMBER) == ("P-0", stopped, False)
    kept = [(reply.reading, reply.asks) for reply in handsets.replies(NUMBER)][stopped:]
    assert kept == [("tapback", False)] * 5
    assert handsets.kinds(NUMBER) == ["opt_in", *["stop"] * stopped]


@pytest.mark.parametrize("body", ["Stop. Gracias", "No quiero más mensajes", "stopppp", "arrêtez de m’envoyer des sms"])
def test_a_refusal_in_free_words_stops_at_once_and_waits_for_nobody(body: str) -> None:
    says(body)
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    assert [reply.asks for reply in handsets.replies(NUMBER)] == [False]


@pytest.mark.one_engine
@pytest.mark.parametrize("channel", ["rcs:", "whatsapp:", "RCS:"])
def test_a_stop_silences_the_number_whichever_channel_it_came_by(channel: str) -> None:
    says("STOP", f"{channel}{NUMBER}")
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    (reply,) = handsets.replies(NUMBER)
    assert (reply.reading, reply.raw["From"]) == ("stop", f"{channel}{NUMBER}")


def test_a_start_by_another_channel_than_texts_is_for_a_person_to_read() -> None:
    says("STOP")
    says("START", f"whatsapp:{NUMBER}", after_minutes=5, To=f"whatsapp:{parts.FROM}")
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    assert handsets.replies(NUMBER)[-1].asks


def test_a_sender_that_is_no_phone_number_changes_nothing_and_is_answered_nothing() -> None:
    sends_as(NumberType="short_code", TwilioAnswers=[])
    senders = ["12345", "BANK", "", "+", "+0123456789", "+" + "1" * 40]
    for sender in senders:
        assert [says(body, sender) for body in ("STOP", "START", "HELP")] == [None] * 3
    assert db.session.scalars(select(ConsentEvent.kind)).all() == ["opt_in"]
    assert handsets.count(InboundMessage) == 3 * len(senders)


def test_a_stop_from_a_number_nobody_knows_silences_it_in_advance() -> None:
    says("STOP", world.number(5000))
    world.people_more(1)
    world.send(audience={"external_ids": ["Q-0"]})
    assert [(row.state, row.reason) for row in world.deliveries("sms")] == [("skipped", "stopped")]


def test_a_stop_to_a_number_of_ours_that_we_do_not_know_counts_all_the_same() -> None:
    says("STOP", To="+12025550177")
    assert handsets.standing(NUMBER) == ("P-0", True, False)


def test_a_start_to_a_number_that_does_not_send_opts_nobody_in_and_somebody_looks_at_it() -> None:
    says("STOP")
    says("START", after_minutes=5, To="+12025550177")
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    assert handsets.replies(NUMBER)[1].asks


def test_a_start_to_a_number_that_sent_before_counts(simulator: parts.Simulator) -> None:
    world.send()
    world.drain_texts()
    sends_as(FromNumber="+12025550101")
    says("STOP")
    says("START", after_minutes=5, To=parts.FROM)
    assert handsets.standing(NUMBER) == ("P-0", False, False)


def test_a_start_counts_at_any_number_of_our_messaging_service_and_of_no_other() -> None:
    sends_as(MessagingServiceSid="MG" + "a" * 32)
    says("STOP")
    says("START", after_minutes=5, To="+12025550177", MessagingServiceSid="MG" + "b" * 32)
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    says("START", after_minutes=6, To="+12025550177", MessagingServiceSid="MG" + "a" * 32)
    assert handsets.standing(NUMBER) == ("P-0", False, False)


@pytest.mark.one_engine
@pytest.mark.parametrize("sender", [{"NumberType": "toll_free"}, {"FromNumber": "+18335550100"}])
def test_yes_does_not_reopen_a_toll_free_number(sender: dict[str, str]) -> None:
    """Known as such by the setting or by its digits."""
    sends_as(**sender)
    to = sender.get("FromNumber", parts.FROM)
    says("STOP", To=to)
    for body, stopped in (("YES", True), ("yes.", True), ("Unstop", False)):
        says(body, after_minutes=5, To=to)
        assert handsets.standing(NUMBER) == ("P-0", stopped, False), body


def test_a_yes_that_does_not_reopen_stands_in_the_ledger_for_nobody_and_somebody_looks_at_it() -> None:
    sends_as(NumberType="toll_free")
    for minutes, body in enumerate(["STOP", "Yes!", "START"]):
        says(body, after_minutes=5 * minutes)
        if body == "Yes!":
            assert handsets.replies(NUMBER)[-1].asks
    yes, start = db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == "start").order_by(ConsentEvent.id))
    assert yes.detail == {"heard": "webhook", "to": parts.FROM, "lifts_no_stop": True}
    assert (yes.words, yes.account_id) == ("Yes!", None)
    assert (start.detail, start.account_id) == ({"heard": "webhook", "to": parts.FROM}, 1)


def test_twilios_own_reading_stands_above_the_words() -> None:
    says("arrêt svp merci", OptOutType="STOP")
    assert handsets.standing(NUMBER) == ("P-0", True, False)
    says("reprendre", after_minutes=5, OptOutType="START")
    assert handsets.standing(NUMBER) == ("P-0", False, False)


def test_what_names_no_message_is_not_kept() -> None:
    stop = {"From": NUMBER, "Body": "STOP"}
    for form in ({}, stop, {"MessageSid": "", **stop}, {"MessageSid": "\x00", **stop}):
        assert take_inbound(form, NOW) is None
    assert handsets.count(InboundMessage) == 0


def test_a_missing_field_does_no_harm() -> None:
    form = {"From": NUMBER, "To": parts.FROM, "Body": "STOP"}
    for missing, stopped in (("From", False), ("Body", False), ("To", True)):
        given = {name: value for name, value in form.items() if name != missing}
        take_inbound({"SmsSid": f"SM-{missing}", **given}, NOW)
        assert handsets.standing(NUMBER)[1] is stopped
    assert handsets.count(InboundMessage) == 3


def test_fields_far_longer_than_twilios_are_no_fault_of_ours() -> None:
    """Random, or the database would pack it into an index after all."""
    names = ["MessageSid", "From", "To", "Body", "MessagingServiceSid", "AnythingElse"]
    for field in names:
        handsets.says("STOP", **{"number": NUMBER, "at_ms": NOW, field: secrets.token_hex(30_000)})
    assert handsets.count(InboundMessage) == len(names)


ANSWERS = {
    # body: does a long code get our answer, does a short code
    "STOP": (False, True),
    "stop": (False, True),
    "OptOut": (False, True),
    "TD": (True, True),
    "arrêt": (True, True),
    "AIDE": (True, True),
    "ayuda": (True, True),
    "INFO": (False, True),
    "Liked “HELP”": (False, False),
    "opt out": (True, True),
    "Opt-Out": (True, True),
    "Stop.": (True, True),
    "stop texting me please": (True, True),
    "HELP": (False, True),
    "Help!": (True, True),
    "START": (False, False),
    "what is this?": (False, False),
}


@pytest.mark.one_engine
@pytest.mark.parametrize("ours", [parts.FROM, "60606", "+18335550100"], ids=["long code", "short code", "toll-free"])
def test_we_answer_where_twilio_does_not(ours: str) -> None:
    sends_as(FromNumber=ours)
    for place, (body, expected) in enumerate(ANSWERS.items(), 1):
        number = world.number(place)
        answer = says(body, number, To=ours)
        assert (answer is not None) == expected[ours == "60606"], body
        if answer is not None:
            assert answer.startswith("Notification portal: ")
            assert ("opted out" in answer) == (handsets.kinds(number) == ["stop"])


@pytest.mark.one_engine
def test_what_a_messaging_service_reads_itself_it_answers_itself() -> None:
    sends_as(MessagingServiceSid="MG" + "a" * 32)
    assert says("arrêt", OptOutType="STOP") is None
    assert says("opt out", world.number(1)) is not None


@pytest.mark.one_engine
def test_nothing_is_answered_unless_texts_really_go_to_people() -> None:
    modes = [
        {"EnableSmsNotifications": "false"},
        {"EnableSmsTestMode": "true"},
        {"EnableSmsOverrideNumber": "true", "SmsOverrideNumber": "+14152009999"},
        {"EnableSmsTestMode": "true", "EnableSmsOverrideNumber": "true", "SmsOverrideNumber": "+14152009999"},
    ]
    off = {"EnableSmsTestMode": "false", "EnableSmsOverrideNumber": "false"}
    for place, changes in enumerate(modes):
        world.open_gateway(**{**off, **changes})
        assert says("opt out", world.number(place)) is None
        assert handsets.standing(world.number(place))[1], "a refusal counts whatever the mode"
    world.open_gateway(**off)
    assert says("opt out", world.number(9)) is not None


def test_the_same_message_again_is_answered_nothing() -> None:
    assert says("opt out", sid="SM1") is not None
    assert says("opt out", sid="SM1") is None


@pytest.mark.one_engine
def test_a_machine_that_refuses_every_answer_gets_one() -> None:
    """The one text that may follow a STOP: else two machines would answer each other for ever."""
    assert says("no more texts") is not None
    assert says("no more texts", after_minutes=1) is None
    assert says("opt out", after_minutes=90) is None
    says("START", after_minutes=95)
    assert says("no more texts", after_minutes=100) is not None
