"""Texts from handsets: stored once, classified, written to the ledger, and answered where Twilio does not."""

import json
import secrets
from typing import Any

import pytest
from sqlalchemy import select

from portal.consent.inbound_processing import receive_inbound
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")

NUMBER = scenario.phone_number(0)
NOW = scenario.now_ms()


@pytest.fixture(autouse=True)
def enabled_person(app: object) -> None:
    global NOW  # not the moment of import: in a long run that is many minutes ago
    NOW = scenario.now_ms()
    scenario.configure_gateway()
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()


def receive_text(body: str, number: str = NUMBER, after_minutes: int = 0, **more: str) -> str | None:
    return inbound_helpers.receive_text(body, number, NOW + after_minutes * inbound_helpers.MINUTE_MS, **more)


def configure_sender(**sender: object) -> None:
    """Another kind of sending number."""
    scenario.configure_gateway(
        SmsGatewaySettings=json.dumps({"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 500, **sender})
    )


def test_stop_ends_texts_and_start_restores_them(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    receive_text("Stop")
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []
    assert scenario.deliveries("sms")[0].reason == "stopped"
    receive_text("START", after_minutes=5)
    scenario.create_expanded_send()
    scenario.run_sms_worker(clock_ahead_ms=6 * inbound_helpers.MINUTE_MS)
    assert len(simulator.accepted_texts()) == 2, f"the welcome and the notification: {scenario.count_states('sms')}"


def test_replayed_start_does_not_undo_a_later_stop() -> None:
    receive_text("START", sid="SM1")
    receive_text("STOP", after_minutes=3)
    for minutes in (4, 60, 10_000):
        receive_text("START", sid="SM1", after_minutes=minutes)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    assert inbound_helpers.ledger_kinds(NUMBER) == ["opt_in", "start", "stop"]


def test_reply_text_is_recorded_verbatim() -> None:
    receive_text("  Stop!  ", sid="SM1")
    receive_text("START", sid="SM2", after_minutes=5)
    stop, start = db.session.scalars(
        select(ConsentEvent).where(ConsentEvent.source == "handset").order_by(ConsentEvent.id)
    )
    assert (stop.kind, stop.text, stop.message_sid, stop.occurred_at_ms) == ("stop", "  Stop!  ", "SM1", NOW)
    assert (stop.detail, stop.account_id) == ({"source": "webhook", "to": servers.FROM_NUMBER}, None)
    assert (start.kind, start.message_sid, start.account_id) == ("start", "SM2", 1)
    assert inbound_helpers.inbound_messages(NUMBER)[0].raw["Body"] == "  Stop!  "


def test_opt_out_in_other_words_is_marked_as_interpreted() -> None:
    receive_text("please stop texting me")
    event = db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == "stop")).one()
    assert event.detail["interpreted"] is True
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    assert not inbound_helpers.inbound_messages(NUMBER)[0].needs_review


def test_unclear_text_is_stored_once_for_review() -> None:
    bodies = ["😀" * 1_600, "a\x00b", "", "who are you?", "\ufffd"]
    for index, body in enumerate(bodies):
        for _ in range(2):
            receive_text(body, sid=f"SM{index}")
    stored = [
        (reply.body, reply.needs_review, reply.classification) for reply in inbound_helpers.inbound_messages(NUMBER)
    ]
    assert stored == [(body.replace("\x00", ""), True, "unclear") for body in bodies]
    assert inbound_helpers.ledger_kinds(NUMBER) == ["opt_in"]


def test_help_is_stored_without_review() -> None:
    receive_text("Help!")
    assert inbound_helpers.ledger_kinds(NUMBER) == ["opt_in", "help"]
    assert not inbound_helpers.inbound_messages(NUMBER)[0].needs_review
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)


@pytest.mark.parametrize("stopped", [False, True])
def test_tapback_is_stored_and_changes_nothing(stopped: bool) -> None:
    if stopped:
        receive_text("STOP")
    for body in ("Liked “STOP”", "Removed a like from “START”", "👍 to “HELP”", "Le gustó “STOP”", "A aimé « START »"):
        assert receive_text(body, after_minutes=5) is None
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", stopped, False)
    stored = [(reply.classification, reply.needs_review) for reply in inbound_helpers.inbound_messages(NUMBER)][
        stopped:
    ]
    assert stored == [("tapback", False)] * 5
    assert inbound_helpers.ledger_kinds(NUMBER) == ["opt_in", *["stop"] * stopped]


@pytest.mark.parametrize("body", ["Stop. Gracias", "No quiero más mensajes", "stopppp", "arrêtez de m’envoyer des sms"])
def test_free_text_opt_out_takes_effect_without_review(body: str) -> None:
    receive_text(body)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    assert [reply.needs_review for reply in inbound_helpers.inbound_messages(NUMBER)] == [False]


@pytest.mark.one_engine
@pytest.mark.parametrize("channel", ["rcs:", "whatsapp:", "RCS:"])
def test_stop_counts_by_any_channel(channel: str) -> None:
    receive_text("STOP", f"{channel}{NUMBER}")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    (reply,) = inbound_helpers.inbound_messages(NUMBER)
    assert (reply.classification, reply.raw["From"]) == ("stop", f"{channel}{NUMBER}")


def test_start_by_another_channel_needs_review() -> None:
    receive_text("STOP")
    receive_text("START", f"whatsapp:{NUMBER}", after_minutes=5, To=f"whatsapp:{servers.FROM_NUMBER}")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    assert inbound_helpers.inbound_messages(NUMBER)[-1].needs_review


def test_non_phone_sender_gets_no_reply() -> None:
    configure_sender(NumberType="short_code", TwilioAnswers=[])
    senders = ["12345", "BANK", "", "+", "+0123456789", "+" + "1" * 40]
    for sender in senders:
        assert [receive_text(body, sender) for body in ("STOP", "START", "HELP")] == [None] * 3
    assert db.session.scalars(select(ConsentEvent.kind)).all() == ["opt_in"]
    assert inbound_helpers.count_rows(InboundMessage) == 3 * len(senders)


def test_stop_from_an_unknown_number_counts_in_advance() -> None:
    receive_text("STOP", scenario.phone_number(5000))
    scenario.create_more_accounts(1)
    scenario.create_expanded_send(audience={"external_ids": ["Q-0"]})
    assert [(row.state, row.reason) for row in scenario.deliveries("sms")] == [("skipped", "stopped")]


def test_stop_to_an_unknown_sending_number_counts() -> None:
    receive_text("STOP", To="+12025550177")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)


def test_start_to_a_number_that_does_not_send_needs_review() -> None:
    receive_text("STOP")
    receive_text("START", after_minutes=5, To="+12025550177")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    assert inbound_helpers.inbound_messages(NUMBER)[1].needs_review


def test_start_to_a_former_sending_number_counts(simulator: servers.SimulatorClient) -> None:
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    configure_sender(FromNumber="+12025550101")
    receive_text("STOP")
    receive_text("START", after_minutes=5, To=servers.FROM_NUMBER)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)


def test_start_counts_only_at_our_messaging_services_numbers() -> None:
    configure_sender(MessagingServiceSid="MG" + "a" * 32)
    receive_text("STOP")
    receive_text("START", after_minutes=5, To="+12025550177", MessagingServiceSid="MG" + "b" * 32)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    receive_text("START", after_minutes=6, To="+12025550177", MessagingServiceSid="MG" + "a" * 32)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)


@pytest.mark.one_engine
@pytest.mark.parametrize("sender", [{"NumberType": "toll_free"}, {"FromNumber": "+18335550100"}])
def test_yes_does_not_reopen_a_toll_free_number(sender: dict[str, str]) -> None:
    """Known as such by the setting or by its digits."""
    configure_sender(**sender)
    to = sender.get("FromNumber", servers.FROM_NUMBER)
    receive_text("STOP", To=to)
    for body, stopped in (("YES", True), ("yes.", True), ("Unstop", False)):
        receive_text(body, after_minutes=5, To=to)
        assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", stopped, False), body


def test_yes_that_cannot_clear_a_stop_needs_review() -> None:
    configure_sender(NumberType="toll_free")
    for minutes, body in enumerate(["STOP", "Yes!", "START"]):
        receive_text(body, after_minutes=5 * minutes)
        if body == "Yes!":
            assert inbound_helpers.inbound_messages(NUMBER)[-1].needs_review
    yes, start = db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == "start").order_by(ConsentEvent.id))
    assert yes.detail == {"source": "webhook", "to": servers.FROM_NUMBER, "cannot_clear_stop": True}
    assert (yes.text, yes.account_id) == ("Yes!", None)
    assert (start.detail, start.account_id) == ({"source": "webhook", "to": servers.FROM_NUMBER}, 1)


def test_twilio_opt_out_type_overrides_the_text() -> None:
    receive_text("arrêt svp merci", OptOutType="STOP")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    receive_text("reprendre", after_minutes=5, OptOutType="START")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)


def test_webhook_without_a_message_id_is_ignored() -> None:
    stop = {"From": NUMBER, "Body": "STOP"}
    for form in ({}, stop, {"MessageSid": "", **stop}, {"MessageSid": "\x00", **stop}):
        assert receive_inbound(form, NOW) is None
    assert inbound_helpers.count_rows(InboundMessage) == 0


def test_missing_field_is_tolerated() -> None:
    form = {"From": NUMBER, "To": servers.FROM_NUMBER, "Body": "STOP"}
    for missing, stopped in (("From", False), ("Body", False), ("To", True)):
        fields = {name: value for name, value in form.items() if name != missing}
        receive_inbound({"SmsSid": f"SM-{missing}", **fields}, NOW)
        assert inbound_helpers.stored_consent_state(NUMBER)[1] is stopped
    assert inbound_helpers.count_rows(InboundMessage) == 3


def test_oversized_webhook_fields_are_stored() -> None:
    """Random, or the database could compress it into an index key."""
    names = ["MessageSid", "From", "To", "Body", "MessagingServiceSid", "AnythingElse"]
    for field in names:
        fields: dict[str, Any] = {"number": NUMBER, "at_ms": NOW, field: secrets.token_hex(30_000)}
        inbound_helpers.receive_text("STOP", **fields)
    assert inbound_helpers.count_rows(InboundMessage) == len(names)


AUTO_REPLIES = {
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
@pytest.mark.parametrize(
    "ours", [servers.FROM_NUMBER, "60606", "+18335550100"], ids=["long code", "short code", "toll-free"]
)
def test_portal_answers_where_twilio_does_not(ours: str) -> None:
    configure_sender(FromNumber=ours)
    for index, (body, expected) in enumerate(AUTO_REPLIES.items(), 1):
        phone_number = scenario.phone_number(index)
        answer = receive_text(body, phone_number, To=ours)
        assert (answer is not None) == expected[ours == "60606"], body
        if answer is not None:
            assert answer.startswith("Notification portal: ")
            assert ("opted out" in answer) == (inbound_helpers.ledger_kinds(phone_number) == ["stop"])


@pytest.mark.one_engine
def test_keywords_answered_by_the_messaging_service_get_no_reply() -> None:
    configure_sender(MessagingServiceSid="MG" + "a" * 32)
    assert receive_text("arrêt", OptOutType="STOP") is None
    assert receive_text("opt out", scenario.phone_number(1)) is not None


@pytest.mark.one_engine
def test_nothing_is_answered_unless_texts_go_to_people() -> None:
    modes = [
        {"EnableSmsNotifications": "false"},
        {"EnableSmsTestMode": "true"},
        {"EnableSmsOverrideNumber": "true", "SmsOverrideNumber": "+14152009999"},
        {"EnableSmsTestMode": "true", "EnableSmsOverrideNumber": "true", "SmsOverrideNumber": "+14152009999"},
    ]
    off: dict[str, Any] = {"EnableSmsTestMode": "false", "EnableSmsOverrideNumber": "false"}
    for index, changes in enumerate(modes):
        scenario.configure_gateway(**{**off, **changes})
        assert receive_text("opt out", scenario.phone_number(index)) is None
        assert inbound_helpers.stored_consent_state(scenario.phone_number(index))[1], "an opt-out counts in every mode"
    scenario.configure_gateway(**off)
    assert receive_text("opt out", scenario.phone_number(9)) is not None


def test_repeated_webhook_is_not_answered_again() -> None:
    assert receive_text("opt out", sid="SM1") is not None
    assert receive_text("opt out", sid="SM1") is None


@pytest.mark.one_engine
def test_sender_that_stops_every_answer_gets_one() -> None:
    """The one text that may follow a STOP: else two machines would answer each other for ever."""
    assert receive_text("no more texts") is not None
    assert receive_text("no more texts", after_minutes=1) is None
    assert receive_text("opt out", after_minutes=90) is None
    receive_text("START", after_minutes=95)
    assert receive_text("no more texts", after_minutes=100) is not None
