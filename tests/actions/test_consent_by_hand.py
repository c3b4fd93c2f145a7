"""What an administrator does about consent: silent at once, both holders told, nobody decides twice."""

import json

import handsets
import parts
import pytest
import world
from handsets import MINUTE_MS
from sqlalchemy import select

from portal.actions.consent_by_hand import decide_reply, move_texts, opt_out
from portal.actions.errors import Invalid, Refused
from portal.extensions import db
from portal.models.communication import Communication
from portal.models.consent import ConsentEvent

pytestmark = pytest.mark.usefixtures("app")
NUMBER, OTHER = world.number(0), world.number(1)


@pytest.fixture(autouse=True)
def board(app: object) -> int:
    """The id of an administrator."""
    world.open_gateway()
    return handsets.account("A-1")


def last_event() -> ConsentEvent:
    return db.session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()  # type: ignore[return-value]


def two_with_texts_for_the_first(at_ms: int) -> list[int]:
    ids = handsets.shared(NUMBER, at_ms, "P-1", "V-1")
    handsets.invite(ids[0], NUMBER, at_ms + 1)
    handsets.says("START", NUMBER, at_ms + 2)
    return ids


def test_a_number_opted_out_by_hand_gets_no_text_although_twilio_knows_nothing(
    simulator: parts.Simulator, board: int
) -> None:
    two_with_texts_for_the_first(world.now_ms())
    world.template()
    world.send()
    world.drain_texts(ahead_ms=10_000)
    arrived = len(simulator.texts())
    world.send()
    opt_out("(415) 200-0000", "phone", "Called on Monday and asked us to stop.", handsets.asker(board), world.now_ms())
    world.drain_texts(ahead_ms=10_000)
    assert len(simulator.texts()) == arrived
    assert handsets.standing(NUMBER) == ("P-1", True, False)
    event = last_event()
    assert (event.kind, event.source, event.actor_id, event.detail) == ("stop", "manual", board, {"how": "phone"})
    assert event.words == "Called on Monday and asked us to stop."


def test_only_start_from_the_phone_undoes_it(board: int) -> None:
    now = world.now_ms()
    ids = two_with_texts_for_the_first(now)
    opt_out(NUMBER, "email", "By email", handsets.asker(board), now + MINUTE_MS)
    with pytest.raises(Refused, match="Only a text with the word START"):
        move_texts(NUMBER, ids[1], handsets.asker(board), now + 2 * MINUTE_MS)
    handsets.says("START", NUMBER, now + 5 * MINUTE_MS)
    assert handsets.standing(NUMBER) == ("P-1", False, False)


def test_a_number_nobody_ever_saw_can_be_opted_out_in_advance(board: int) -> None:
    assert opt_out("+44 20 7946 0018", "letter", "A letter", handsets.asker(board), world.now_ms()) == "+442079460018"
    assert handsets.standing("+442079460018") == (None, True, False)


def test_opting_out_again_keeps_since_when_and_adds_to_the_story(board: int) -> None:
    opt_out(NUMBER, "phone", "First call", handsets.asker(board), world.now_ms())
    opt_out(NUMBER, "phone", "Second call", handsets.asker(board), world.now_ms() + MINUTE_MS)
    assert handsets.kinds(NUMBER) == ["stop", "stop"]
    assert handsets.standing(NUMBER) == (None, True, False)


@pytest.mark.parametrize(
    ("typed", "how", "reason", "fields"),
    [
        ("", "", "", {"number", "how", "reason"}),
        ("12345", "phone", "x", {"number"}),
        (NUMBER, "pigeon", "x", {"how"}),
        (NUMBER, "phone", " \x00 ", {"reason"}),
        (NUMBER, "phone", "x" * 1001, {"reason"}),
        ("x" * 100_000, "phone", "x", {"number"}),
    ],
)
def test_a_form_that_will_not_do_names_each_field_and_writes_nothing(
    board: int, typed: str, how: str, reason: str, fields: set[str]
) -> None:
    with pytest.raises(Invalid) as refused:
        opt_out(typed, how, reason, handsets.asker(board), world.now_ms())
    assert set(refused.value.errors) == fields
    assert handsets.kinds(NUMBER) == []


def test_moved_texts_are_told_to_both_and_written_down(board: int) -> None:
    now = world.now_ms()
    ids = two_with_texts_for_the_first(now)
    move_texts(NUMBER, ids[1], handsets.asker(board), now + MINUTE_MS)
    assert handsets.standing(NUMBER) == ("V-1", False, False)
    assert (handsets.told("displaced"), handsets.told("given")) == (["P-1"], ["V-1"])
    event = last_event()
    assert (event.kind, event.account_id, event.actor_id) == ("moved", ids[1], board)
    assert handsets.texts("welcome") == [(NUMBER, "ready", "")], "of the START; a move is not texted"


def test_texts_nobody_agreed_to_cannot_be_moved(board: int) -> None:
    ids = handsets.shared(NUMBER, world.now_ms(), "P-1", "V-1")
    stranger = handsets.account("X-1")
    with pytest.raises(Refused, match="has not agreed to texts yet"):
        move_texts(NUMBER, ids[1], handsets.asker(board), world.now_ms())
    with pytest.raises(Refused, match="not on that account"):
        move_texts(NUMBER, stranger, handsets.asker(board), world.now_ms())
    assert handsets.kinds(NUMBER) == []


def test_texts_cannot_be_moved_to_who_has_them(board: int) -> None:
    ids = two_with_texts_for_the_first(world.now_ms())
    with pytest.raises(Refused, match="already"):
        move_texts(NUMBER, ids[0], handsets.asker(board), world.now_ms())


def an_unclear_reply(at_ms: int, body: str = "who are you?") -> int:
    handsets.says(body, NUMBER, at_ms)
    return handsets.replies(NUMBER)[-1].id


def test_a_reply_read_as_an_opt_out_silences_the_number_once(board: int) -> None:
    now = world.now_ms()
    two_with_texts_for_the_first(now)
    reply_id = an_unclear_reply(now + MINUTE_MS)
    decide_reply(reply_id, "stop", handsets.asker(board), now + 2 * MINUTE_MS)
    reply = handsets.replies(NUMBER)[-1]
    event = last_event()
    assert handsets.standing(NUMBER) == ("P-1", True, False)
    assert (event.source, event.words, event.message_sid) == ("reply", "who are you?", "")
    assert event.detail == {"reply": reply.provider_id}
    assert event.occurred_at_ms == now + MINUTE_MS, "it counts from when it was said"
    assert (reply.decision, reply.decided_by_id, reply.decided_at_ms) == ("stop", board, now + 2 * MINUTE_MS)
    with pytest.raises(Refused, match="already"):
        decide_reply(reply_id, "nothing", handsets.asker(board), now + 3 * MINUTE_MS)


def test_a_start_after_the_reply_stands(board: int) -> None:
    now = world.now_ms()
    two_with_texts_for_the_first(now)
    reply_id = an_unclear_reply(now + MINUTE_MS)
    handsets.says("START", NUMBER, now + 10 * MINUTE_MS)
    decide_reply(reply_id, "stop", handsets.asker(board), now + 11 * MINUTE_MS)
    assert handsets.standing(NUMBER) == ("P-1", False, False)


def test_nothing_to_do_changes_nothing_but_the_inbox(board: int) -> None:
    now = world.now_ms()
    two_with_texts_for_the_first(now)
    before = handsets.kinds(NUMBER)
    decide_reply(an_unclear_reply(now + MINUTE_MS), "nothing", handsets.asker(board), now + 2 * MINUTE_MS)
    assert handsets.kinds(NUMBER) == before
    assert handsets.replies(NUMBER)[-1].decision == "nothing"


def test_a_start_for_which_no_account_was_found_is_given_to_one(board: int) -> None:
    now = world.now_ms()
    ids = handsets.shared(NUMBER, now, "P-1", "V-1")
    handsets.says("START", NUMBER, now + MINUTE_MS)
    assert handsets.standing(NUMBER) == (None, False, False)
    reply_id = handsets.replies(NUMBER)[-1].id
    decide_reply(reply_id, "moved", handsets.asker(board), now + 2 * MINUTE_MS, account_id=ids[1])
    assert handsets.standing(NUMBER) == ("V-1", False, False)
    assert (handsets.told("displaced"), handsets.told("given")) == ([], ["V-1"])


def test_a_start_that_was_settled_meanwhile_is_not_given_away(board: int) -> None:
    now = world.now_ms()
    ids = handsets.shared(NUMBER, now, "P-1", "V-1")
    handsets.says("START", NUMBER, now + MINUTE_MS)
    reply_id = handsets.replies(NUMBER)[-1].id
    handsets.invite(ids[0], NUMBER, now + 2 * MINUTE_MS)
    handsets.says("START", NUMBER, now + 3 * MINUTE_MS)
    with pytest.raises(Refused, match="settled meanwhile"):
        decide_reply(reply_id, "moved", handsets.asker(board), now + 4 * MINUTE_MS, account_id=ids[1])
    assert handsets.standing(NUMBER) == ("P-1", False, False)


def test_the_texts_of_a_stopped_number_are_not_given_away_for_a_yes_that_lifts_no_stop(board: int) -> None:
    now = world.now_ms()
    world.open_gateway(SmsGatewaySettings=json.dumps({"FromNumber": parts.FROM, "NumberType": "toll_free"}))
    ids = handsets.shared(NUMBER, now, "P-1", "V-1")
    for minutes, body in ((1, "STOP"), (10, "YES")):
        handsets.says(body, NUMBER, now + minutes * MINUTE_MS)
    reply = handsets.replies(NUMBER)[-1]
    assert (reply.body, reply.asks) == ("YES", True)
    with pytest.raises(Refused, match="Only a text with the word START"):
        decide_reply(reply.id, "moved", handsets.asker(board), now + 11 * MINUTE_MS, account_id=ids[1])
    decide_reply(reply.id, "nothing", handsets.asker(board), now + 12 * MINUTE_MS)
    assert handsets.standing(NUMBER) == (None, True, False)


@pytest.mark.parametrize("decision", ["", "start", "moved", "x" * 10_000])
def test_what_cannot_be_decided_about_a_reply_is_refused(board: int, decision: str) -> None:
    reply_id = an_unclear_reply(world.now_ms())
    with pytest.raises(Refused, match="cannot be decided"):
        decide_reply(reply_id, decision, handsets.asker(board), world.now_ms())
    assert handsets.replies(NUMBER)[-1].decision == ""


def test_a_sender_that_is_no_phone_number_cannot_be_opted_out(board: int) -> None:
    handsets.says("stop it", "12345", world.now_ms())
    reply_id = handsets.replies("12345")[-1].id
    with pytest.raises(Refused, match="cannot be decided"):
        decide_reply(reply_id, "stop", handsets.asker(board), world.now_ms())
    decide_reply(reply_id, "nothing", handsets.asker(board), world.now_ms())


def test_a_word_that_asks_nothing_is_nobodys_to_decide(board: int) -> None:
    handsets.says("STOP", OTHER, world.now_ms())
    with pytest.raises(Refused, match="no such reply"):
        decide_reply(handsets.replies(OTHER)[-1].id, "nothing", handsets.asker(board), world.now_ms())


def test_the_news_names_the_number_and_no_other_account(board: int) -> None:
    now = world.now_ms()
    ids = two_with_texts_for_the_first(now)
    move_texts(NUMBER, ids[1], handsets.asker(board), now + MINUTE_MS)
    query = select(Communication.body).where(Communication.kind.in_(("displaced", "given")))
    for body in db.session.scalars(query):
        assert "(415) 200-0000" in body
        assert "Person" not in body
