"""What administrators do about consent: opt-outs count at once, both accounts are notified, nobody decides twice."""

import json

import pytest
from sqlalchemy import select

from portal.consent.manual_consent import decide_reply, move_texts, opt_out
from portal.consent.tables.ledger import ConsentEvent
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from tests.support import inbound_helpers, scenario, servers
from tests.support.inbound_helpers import MINUTE_MS

pytestmark = pytest.mark.usefixtures("app")
NUMBER, OTHER = scenario.phone_number(0), scenario.phone_number(1)


@pytest.fixture(autouse=True)
def admin_id(app: object) -> int:
    """The id of an administrator."""
    scenario.configure_gateway()
    return inbound_helpers.new_account("A-1", "admin")


def latest_event() -> ConsentEvent:
    return db.session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()  # type: ignore[return-value]


def two_accounts_first_enabled(at_ms: int) -> list[int]:
    ids = inbound_helpers.create_sharing_accounts(NUMBER, at_ms, "P-1", "V-1")
    inbound_helpers.invite(ids[0], NUMBER, at_ms + 1)
    inbound_helpers.receive_text("START", NUMBER, at_ms + 2)
    return ids


def test_manually_opted_out_number_gets_no_texts(simulator: servers.SimulatorClient, admin_id: int) -> None:
    two_accounts_first_enabled(scenario.now_ms())
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker(clock_ahead_ms=10_000)
    arrived = len(simulator.accepted_texts())
    scenario.create_expanded_send()
    opt_out(
        "(415) 200-0000",
        "phone",
        "Called on Monday and asked us to stop.",
        inbound_helpers.make_actor(admin_id),
        scenario.now_ms(),
    )
    scenario.run_sms_worker(clock_ahead_ms=10_000)
    assert len(simulator.accepted_texts()) == arrived
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", True, False)
    event = latest_event()
    assert (event.kind, event.source, event.actor_id, event.detail) == (
        "stop",
        "manual",
        admin_id,
        {"channel": "phone"},
    )
    assert event.text == "Called on Monday and asked us to stop."


def test_only_start_from_the_phone_reverses_a_manual_opt_out(admin_id: int) -> None:
    now = scenario.now_ms()
    ids = two_accounts_first_enabled(now)
    opt_out(NUMBER, "email", "By email", inbound_helpers.make_actor(admin_id), now + MINUTE_MS)
    with pytest.raises(ActionRefused, match="Only a text with the word START"):
        move_texts(NUMBER, ids[1], inbound_helpers.make_actor(admin_id), now + 2 * MINUTE_MS)
    inbound_helpers.receive_text("START", NUMBER, now + 5 * MINUTE_MS)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)


def test_unknown_number_can_be_opted_out_in_advance(admin_id: int) -> None:
    assert (
        opt_out("+44 20 7946 0018", "letter", "A letter", inbound_helpers.make_actor(admin_id), scenario.now_ms())
        == "+442079460018"
    )
    assert inbound_helpers.stored_consent_state("+442079460018") == (None, True, False)


def test_second_opt_out_keeps_the_first_time_and_is_recorded(admin_id: int) -> None:
    opt_out(NUMBER, "phone", "First call", inbound_helpers.make_actor(admin_id), scenario.now_ms())
    opt_out(NUMBER, "phone", "Second call", inbound_helpers.make_actor(admin_id), scenario.now_ms() + MINUTE_MS)
    assert inbound_helpers.ledger_kinds(NUMBER) == ["stop", "stop"]
    assert inbound_helpers.stored_consent_state(NUMBER) == (None, True, False)


@pytest.mark.parametrize(
    ("typed", "channel", "reason", "fields"),
    [
        ("", "", "", {"number", "channel", "reason"}),
        ("12345", "phone", "x", {"number"}),
        (NUMBER, "pigeon", "x", {"channel"}),
        (NUMBER, "phone", " \x00 ", {"reason"}),
        (NUMBER, "phone", "x" * 1001, {"reason"}),
        ("x" * 100_000, "phone", "x", {"number"}),
    ],
)
def test_invalid_form_names_each_field_and_writes_nothing(
    admin_id: int, typed: str, channel: str, reason: str, fields: set[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        opt_out(typed, channel, reason, inbound_helpers.make_actor(admin_id), scenario.now_ms())
    assert set(refused.value.errors) == fields
    assert inbound_helpers.ledger_kinds(NUMBER) == []


def test_moving_texts_notifies_both_accounts_and_is_recorded(admin_id: int) -> None:
    now = scenario.now_ms()
    ids = two_accounts_first_enabled(now)
    move_texts(NUMBER, ids[1], inbound_helpers.make_actor(admin_id), now + MINUTE_MS)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("V-1", False, False)
    assert (inbound_helpers.notified_accounts("displaced"), inbound_helpers.notified_accounts("texts_assigned")) == (
        ["P-1"],
        ["V-1"],
    )
    event = latest_event()
    assert (event.kind, event.account_id, event.actor_id) == ("moved", ids[1], admin_id)
    assert inbound_helpers.texts_of_kind("welcome") == [(NUMBER, "ready", "")], "of the START; a move is not texted"


def test_texts_without_consent_cannot_be_moved(admin_id: int) -> None:
    ids = inbound_helpers.create_sharing_accounts(NUMBER, scenario.now_ms(), "P-1", "V-1")
    stranger = inbound_helpers.new_account("X-1")
    with pytest.raises(ActionRefused, match="has not agreed to texts yet"):
        move_texts(NUMBER, ids[1], inbound_helpers.make_actor(admin_id), scenario.now_ms())
    with pytest.raises(ActionRefused, match="not on that account"):
        move_texts(NUMBER, stranger, inbound_helpers.make_actor(admin_id), scenario.now_ms())
    assert inbound_helpers.ledger_kinds(NUMBER) == []


def test_texts_cannot_be_moved_to_the_current_recipient(admin_id: int) -> None:
    ids = two_accounts_first_enabled(scenario.now_ms())
    with pytest.raises(ActionRefused, match="already"):
        move_texts(NUMBER, ids[0], inbound_helpers.make_actor(admin_id), scenario.now_ms())


def receive_unclear_reply(at_ms: int, body: str = "who are you?") -> int:
    inbound_helpers.receive_text(body, NUMBER, at_ms)
    return inbound_helpers.inbound_messages(NUMBER)[-1].id


def test_reply_decided_as_opt_out_takes_effect_once(admin_id: int) -> None:
    now = scenario.now_ms()
    two_accounts_first_enabled(now)
    reply_id = receive_unclear_reply(now + MINUTE_MS)
    decide_reply(reply_id, "stop", inbound_helpers.make_actor(admin_id), now + 2 * MINUTE_MS)
    reply = inbound_helpers.inbound_messages(NUMBER)[-1]
    event = latest_event()
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", True, False)
    assert (event.source, event.text, event.message_sid) == ("reply", "who are you?", "")
    assert event.detail == {"reply": reply.provider_id}
    assert event.occurred_at_ms == now + MINUTE_MS, "it counts from when it was said"
    assert (reply.decision, reply.decided_by_id, reply.decided_at_ms) == ("stop", admin_id, now + 2 * MINUTE_MS)
    with pytest.raises(ActionRefused, match="already"):
        decide_reply(reply_id, "nothing", inbound_helpers.make_actor(admin_id), now + 3 * MINUTE_MS)


def test_start_after_the_reply_still_counts(admin_id: int) -> None:
    now = scenario.now_ms()
    two_accounts_first_enabled(now)
    reply_id = receive_unclear_reply(now + MINUTE_MS)
    inbound_helpers.receive_text("START", NUMBER, now + 10 * MINUTE_MS)
    decide_reply(reply_id, "stop", inbound_helpers.make_actor(admin_id), now + 11 * MINUTE_MS)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)


def test_nothing_to_do_only_closes_the_review(admin_id: int) -> None:
    now = scenario.now_ms()
    two_accounts_first_enabled(now)
    before = inbound_helpers.ledger_kinds(NUMBER)
    decide_reply(
        receive_unclear_reply(now + MINUTE_MS), "nothing", inbound_helpers.make_actor(admin_id), now + 2 * MINUTE_MS
    )
    assert inbound_helpers.ledger_kinds(NUMBER) == before
    assert inbound_helpers.inbound_messages(NUMBER)[-1].decision == "nothing"


def test_unassigned_start_is_given_to_an_account(admin_id: int) -> None:
    now = scenario.now_ms()
    ids = inbound_helpers.create_sharing_accounts(NUMBER, now, "P-1", "V-1")
    inbound_helpers.receive_text("START", NUMBER, now + MINUTE_MS)
    assert inbound_helpers.stored_consent_state(NUMBER) == (None, False, False)
    reply_id = inbound_helpers.inbound_messages(NUMBER)[-1].id
    decide_reply(reply_id, "moved", inbound_helpers.make_actor(admin_id), now + 2 * MINUTE_MS, account_id=ids[1])
    assert inbound_helpers.stored_consent_state(NUMBER) == ("V-1", False, False)
    assert (inbound_helpers.notified_accounts("displaced"), inbound_helpers.notified_accounts("texts_assigned")) == (
        [],
        ["V-1"],
    )


def test_start_resolved_meanwhile_cannot_be_assigned(admin_id: int) -> None:
    now = scenario.now_ms()
    ids = inbound_helpers.create_sharing_accounts(NUMBER, now, "P-1", "V-1")
    inbound_helpers.receive_text("START", NUMBER, now + MINUTE_MS)
    reply_id = inbound_helpers.inbound_messages(NUMBER)[-1].id
    inbound_helpers.invite(ids[0], NUMBER, now + 2 * MINUTE_MS)
    inbound_helpers.receive_text("START", NUMBER, now + 3 * MINUTE_MS)
    with pytest.raises(ActionRefused, match="is no longer waiting for an account"):
        decide_reply(reply_id, "moved", inbound_helpers.make_actor(admin_id), now + 4 * MINUTE_MS, account_id=ids[1])
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-1", False, False)


def test_yes_under_a_stop_cannot_be_assigned_manually(admin_id: int) -> None:
    now = scenario.now_ms()
    scenario.configure_gateway(
        SmsGatewaySettings=json.dumps({"FromNumber": servers.FROM_NUMBER, "NumberType": "toll_free"})
    )
    ids = inbound_helpers.create_sharing_accounts(NUMBER, now, "P-1", "V-1")
    for minutes, body in ((1, "STOP"), (10, "YES")):
        inbound_helpers.receive_text(body, NUMBER, now + minutes * MINUTE_MS)
    reply = inbound_helpers.inbound_messages(NUMBER)[-1]
    assert (reply.body, reply.needs_review) == ("YES", True)
    with pytest.raises(ActionRefused, match="Only a text with the word START"):
        decide_reply(reply.id, "moved", inbound_helpers.make_actor(admin_id), now + 11 * MINUTE_MS, account_id=ids[1])
    decide_reply(reply.id, "nothing", inbound_helpers.make_actor(admin_id), now + 12 * MINUTE_MS)
    assert inbound_helpers.stored_consent_state(NUMBER) == (None, True, False)


@pytest.mark.parametrize("decision", ["", "start", "moved", "x" * 10_000])
def test_impossible_decision_is_refused(admin_id: int, decision: str) -> None:
    reply_id = receive_unclear_reply(scenario.now_ms())
    with pytest.raises(ActionRefused, match="not possible for this reply"):
        decide_reply(reply_id, decision, inbound_helpers.make_actor(admin_id), scenario.now_ms())
    assert inbound_helpers.inbound_messages(NUMBER)[-1].decision == ""


def test_non_phone_sender_cannot_be_opted_out(admin_id: int) -> None:
    inbound_helpers.receive_text("stop it", "12345", scenario.now_ms())
    reply_id = inbound_helpers.inbound_messages("12345")[-1].id
    with pytest.raises(ActionRefused, match="not possible for this reply"):
        decide_reply(reply_id, "stop", inbound_helpers.make_actor(admin_id), scenario.now_ms())
    decide_reply(reply_id, "nothing", inbound_helpers.make_actor(admin_id), scenario.now_ms())


def test_stop_reply_needs_no_decision(admin_id: int) -> None:
    inbound_helpers.receive_text("STOP", OTHER, scenario.now_ms())
    with pytest.raises(ActionRefused, match="no such reply"):
        decide_reply(
            inbound_helpers.inbound_messages(OTHER)[-1].id,
            "nothing",
            inbound_helpers.make_actor(admin_id),
            scenario.now_ms(),
        )


def test_move_notification_names_no_other_account(admin_id: int) -> None:
    now = scenario.now_ms()
    ids = two_accounts_first_enabled(now)
    move_texts(NUMBER, ids[1], inbound_helpers.make_actor(admin_id), now + MINUTE_MS)
    query = select(Communication.body).where(Communication.kind.in_(("displaced", "texts_assigned")))
    for body in db.session.scalars(query):
        assert "(415) 200-0000" in body
        assert "Person" not in body
