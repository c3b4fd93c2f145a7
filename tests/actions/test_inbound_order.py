"""Texts from handsets that come out of order, more than once, late, or by no webhook at all."""

import random
import threading

import handsets
import parts
import pytest
import world
from flask import Flask
from sqlalchemy import delete, select

from portal.actions import consent, consent_by_hand, inbound_order
from portal.domain.consent import Event, Standing
from portal.extensions import db
from portal.gateways.provider import NotAnswered
from portal.models.consent import ConsentEvent
from portal.models.gateway import AppSetting
from portal.models.inbound import InboundMessage

pytestmark = pytest.mark.usefixtures("app")

NOW = world.now_ms()
MINUTE_MS = handsets.MINUTE_MS
BODIES = [
    "START",
    "STOP",
    "HELP",
    "who is this?",
    "unstop",
    "please stop texting me",
    "YES",
    "opt out",
    "info",
    "START",
]


@pytest.fixture(autouse=True)
def gateway(app: object) -> None:
    world.open_gateway()


def look(at_ms: int = NOW) -> None:
    """One turn of the sweep, as far as it concerns texts from handsets."""
    db.session.remove()
    inbound_order.order_unsure(lambda: at_ms)
    inbound_order.fetch_missed(lambda: at_ms)
    db.session.remove()


def said(number: str) -> list[tuple[str, int]]:
    """The words of the number's ledger in order of time, and how often each of Twilio's ids is in it."""
    db.session.remove()
    query = select(ConsentEvent, InboundMessage).join(
        InboundMessage, InboundMessage.provider_id == ConsentEvent.message_sid
    )
    rows = db.session.execute(query.where(ConsentEvent.number == number)).all()
    rows.sort(key=lambda row: (row[1].order_at_ms, row[1].order_rank, row[0].id))
    sids = [event.message_sid for event, _message in rows]
    return [(event.words, sids.count(event.message_sid)) for event, _message in rows]


def twenty(dice: random.Random) -> list[tuple[str, int]]:
    """Twenty texts of one handset, oldest first, often several in one second, the last one half a minute ago."""
    at_ms, found = NOW - 30_000, []
    for body in (dice.choice(BODIES) for _ in range(20)):
        found.append((body, at_ms))
        at_ms -= dice.choice([0, 1, 300, 700, 2_500])
    return found[::-1]


@pytest.mark.parametrize("seed", range(3))
def test_twenty_texts_out_of_order_three_times_each_end_as_if_heard_in_order_once(
    simulator: parts.Simulator, seed: int
) -> None:
    dice = random.Random(seed)
    texts, orderly, chaotic = twenty(dice), world.number(2 * seed), world.number(2 * seed + 1)
    for number, names in ((orderly, ("A", "B")), (chaotic, ("C", "D"))):
        first, second = handsets.shared(number, NOW - 90 * MINUTE_MS, *names)
        handsets.invite(first, number, NOW - 60 * MINUTE_MS)
        handsets.invite(second, number, NOW - 40 * MINUTE_MS)
    for place, ((body, _at), sid) in enumerate(zip(texts, handsets.seed(simulator, texts, orderly), strict=True)):
        handsets.says(body, orderly, NOW - 20_000 + 1_000 * place, sid)
    posts = [(body, sid) for (body, _at), sid in zip(texts, handsets.seed(simulator, texts, chaotic), strict=True)] * 3
    dice.shuffle(posts)
    for place, (body, sid) in enumerate(posts):
        handsets.says(body, chaotic, NOW - 20_000 + 300 * place, sid)
    look(NOW + 1_000)
    assert said(chaotic) == said(orderly)
    assert [words for words, _times in said(chaotic)] == [body for body, _at in texts if body != "who is this?"]
    assert {times for _words, times in said(chaotic)} == {1}
    holder, *states = handsets.standing(orderly)
    assert handsets.standing(chaotic) == ({"A": "C", "B": "D", None: None}[holder], *states)
    assert [reply.asks for reply in in_order(chaotic)] == [reply.asks for reply in in_order(orderly)]


def in_order(number: str) -> list[InboundMessage]:
    return sorted(handsets.replies(number), key=lambda reply: (reply.order_at_ms, reply.order_rank, reply.id))


def test_several_workers_at_once_take_each_text_once(app: Flask, simulator: parts.Simulator) -> None:
    dice, number = random.Random(7), world.number(0)
    handsets.shared(number, NOW - 90 * MINUTE_MS, "A")
    texts = [(body, at_ms) for body, at_ms in twenty(dice) if body != "who is this?"]
    texts.append(("START", NOW - 25_000))
    posts = [(body, sid) for (body, _at), sid in zip(texts, handsets.seed(simulator, texts, number), strict=True)]
    start, faults = threading.Barrier(4), []

    def work(own: list[tuple[str, str]]) -> None:
        with app.app_context():
            start.wait()
            for body, sid in own:
                try:
                    handsets.says(body, number, NOW - 20_000, sid)
                except Exception as error:  # told below, in the thread that can fail the test
                    faults.append(error)

    workers = [threading.Thread(target=work, args=(dice.sample(posts, len(posts)),)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    look()
    assert faults == []
    assert said(number) == [(body, 1) for body, _at in texts]
    assert handsets.standing(number) == ("A", False, False)


def test_a_start_that_overtook_a_stop_of_the_same_second_stands_after_it(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    stop, start = handsets.seed(simulator, [("STOP", NOW - 900), ("START", NOW - 400)], number)
    handsets.says("START", number, NOW - 300, start)
    handsets.says("STOP", number, NOW - 200, stop)
    assert handsets.standing(number) == ("A", True, False), "a STOP counts at once, whatever its place"
    look()
    assert handsets.standing(number) == ("A", False, False)


def test_a_start_beside_a_stop_waits_until_twilio_has_told_which_was_first(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    start, stop = handsets.seed(simulator, [("START", NOW - 9_000), ("STOP", NOW - 4_000)], number)
    handsets.says("STOP", number, NOW - 3_000, stop)
    handsets.says("START", number, NOW - 1_000, start)
    assert handsets.standing(number)[1]
    look()
    assert handsets.standing(number) == ("A", True, False), "the START was sent before the STOP"
    assert handsets.texts("welcome") == []


def test_while_twilio_cannot_be_asked_a_start_beside_a_stop_waits_and_then_counts(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    handsets.says("STOP", number, NOW - 2_000)
    handsets.says("START", number, NOW - 1_000)
    simulator.faults(rules=[{"kind": "500_before", "call": "list"}])
    for at_ms in (NOW, NOW + 4_000):
        with pytest.raises(NotAnswered):
            look(at_ms)
        assert handsets.standing(number)[1]
    with pytest.raises(NotAnswered):
        look(NOW + 60_000)
    assert handsets.standing(number) == ("A", False, False), "nothing better is to be learned"


def test_a_stop_that_comes_while_an_order_is_settled_is_not_written_over(
    app: Flask, simulator: parts.Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, begun, heard = world.number(0), threading.Event(), threading.Event()
    handsets.shared(number, NOW - MINUTE_MS, "A")
    stop, start = handsets.seed(simulator, [("STOP", NOW - 9_000), ("START", NOW - 4_000)], number)
    handsets.says("STOP", number, NOW - 3_000, stop)
    handsets.says("START", number, NOW - 2_000, start)
    derive, settling = consent.standing, threading.current_thread()

    def derive_slowly(events: list[Event]) -> Standing:
        """The other worker has its say between the reading of the story and what is written of it."""
        found = derive(events)
        if threading.current_thread() is settling and not begun.is_set():
            begun.set()
            heard.wait(1)
        return found

    def hear() -> None:
        with app.app_context():
            begun.wait(30)
            handsets.says("STOP", number, NOW)
            heard.set()

    monkeypatch.setattr(consent, "standing", derive_slowly)
    worker = threading.Thread(target=hear)
    worker.start()
    look(NOW + 1_000)
    worker.join()
    assert handsets.kinds(number) == ["stop", "start", "stop"]
    assert handsets.standing(number) == ("A", True, False)


def test_a_list_that_lags_does_not_let_a_start_wait_for_ever(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    stop, start = handsets.seed(simulator, [("STOP", NOW - 9_000), ("START", NOW - 4_000)], number)
    handsets.says("STOP", number, NOW - 2_000, stop)
    handsets.says("START", number, NOW - 1_000, start)
    simulator.faults(list_stale_ms=3_600_000)
    look(NOW)
    assert handsets.standing(number)[1]
    look(NOW + 6_000)
    assert handsets.standing(number) == ("A", False, False)


def test_what_the_list_shows_too_late_is_put_right_then(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    start, stop = handsets.seed(simulator, [("START", NOW - 9_000), ("STOP", NOW - 4_000)], number)
    handsets.says("STOP", number, NOW - 2_000, stop)
    handsets.says("START", number, NOW - 1_000, start)
    simulator.faults(list_stale_ms=3_600_000)
    look(NOW + 6_000)
    assert not handsets.standing(number)[1]
    simulator.faults()
    look(NOW + 2 * MINUTE_MS)
    assert handsets.standing(number) == ("A", True, False)


def test_a_stop_during_an_outage_of_ours_is_found_and_silences_the_number(simulator: parts.Simulator) -> None:
    world.people(1, with_sms=1)
    world.template()
    world.send()
    look(NOW - 5 * MINUTE_MS)
    handsets.seed(simulator, [("STOP", NOW - 3 * MINUTE_MS)], world.number(0))
    look()
    assert handsets.standing(world.number(0)) == ("P-0", True, False)
    assert handsets.ledger(world.number(0)) == [("opt_in", "import"), ("stop", "handset")]
    world.drain_texts()
    assert simulator.texts() == []


def test_texts_that_were_missed_apply_in_order_of_time_among_those_that_were_heard(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    texts = [("START", NOW - 40 * MINUTE_MS), ("STOP", NOW - 30 * MINUTE_MS), ("START", NOW - 20 * MINUTE_MS)]
    first, stop, _last = handsets.seed(simulator, [*texts, ("HELP", NOW - 10 * MINUTE_MS)], number)[:3]
    handsets.says("START", number, NOW - 40 * MINUTE_MS, first)
    handsets.says("STOP", number, NOW - 30 * MINUTE_MS, stop)
    assert handsets.standing(number)[1]
    look()
    assert said(number) == [("START", 1), ("STOP", 1), ("START", 1), ("HELP", 1)]
    assert handsets.standing(number) == ("A", False, False)
    assert [reply.heard for reply in in_order(number)] == ["webhook", "webhook", "list", "list"]


def test_a_missed_start_of_long_ago_does_not_outrun_a_newer_stop(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("START", NOW - 30 * MINUTE_MS)], number)
    handsets.says("STOP", number, NOW - 10 * MINUTE_MS)
    look()
    assert handsets.standing(number) == ("A", True, False)
    assert handsets.texts("welcome") == []


def test_a_missed_start_does_not_outrun_a_newer_stop_by_hand(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("START", NOW - 30 * MINUTE_MS)], number)
    consent_by_hand.opt_out(number, "phone", "rang us", None, NOW - 10 * MINUTE_MS)
    look()
    assert handsets.standing(number) == ("A", True, False)


def test_a_webhook_held_up_for_minutes_does_not_outrun_a_stop_by_hand(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    (start,) = handsets.seed(simulator, [("START", NOW - 3 * MINUTE_MS)], number)
    consent_by_hand.opt_out(number, "phone", "rang us", None, NOW - MINUTE_MS)
    handsets.says("START", number, NOW, start)
    assert handsets.standing(number)[1]
    look(NOW + 1_000)
    assert handsets.standing(number) == ("A", True, False)


def test_a_start_after_an_outage_of_days_is_found_and_welcomed_once(simulator: parts.Simulator) -> None:
    number, days_ms = world.number(0), 3 * 86_400_000
    handsets.shared(number, NOW - 2 * days_ms, "A")
    look(NOW - days_ms)
    handsets.seed(simulator, [("START", NOW - days_ms + 5 * MINUTE_MS)], number)
    for minutes in (0, 2, 4):
        look(NOW + minutes * MINUTE_MS)
    assert handsets.standing(number) == ("A", False, False)
    assert [(address, state) for address, state, _why in handsets.texts("welcome")] == [(number, "ready")]


def test_a_text_that_is_fetched_and_then_brought_by_its_webhook_counts_once(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    (start,) = handsets.seed(simulator, [("START", NOW - 5 * MINUTE_MS)], number)
    look()
    handsets.says("STOP", number, NOW - MINUTE_MS)
    handsets.says("START", number, NOW, start)
    assert handsets.kinds(number) == ["start", "stop"]
    assert handsets.standing(number) == ("A", True, False)


def test_what_is_read_already_is_not_read_again_and_the_list_is_asked_once_a_minute(
    simulator: parts.Simulator,
) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("START", NOW - 5 * MINUTE_MS)], number)
    for seconds in (0, 20, 40, 61, 80):
        look(NOW + seconds * 1_000)
    calls = [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "list"]
    assert len(calls) == 2
    assert handsets.kinds(number) == ["start"]


def test_a_list_that_breaks_off_is_read_again_from_where_it_was(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.seed(simulator, [("STOP", NOW - 5 * MINUTE_MS)], number)
    simulator.faults(rules=[{"kind": "500_before", "call": "list", "count": 1}])
    with pytest.raises(NotAnswered):
        look()
    assert handsets.kinds(number) == []
    look(NOW + 5_000)
    assert handsets.kinds(number) == ["stop"]


def test_more_texts_than_a_page_of_the_list_holds_are_all_found(simulator: parts.Simulator) -> None:
    handsets.seed(simulator, [("STOP", NOW - 6 * MINUTE_MS)], world.number(0))
    handsets.seed(simulator, [("who is this?", NOW - 5 * MINUTE_MS)] * 105, world.number(1))
    look()
    assert handsets.kinds(world.number(0)) == ["stop"]
    assert len(handsets.replies(world.number(1))) == 105


def test_without_credentials_nobody_is_asked_and_texts_stand_as_they_came(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    handsets.says("STOP", number, NOW - 2_000)
    handsets.says("START", number, NOW - 1_000)
    db.session.execute(delete(AppSetting).where(AppSetting.name == "SmsGatewayAuthentication"))
    db.session.commit()
    look()
    assert handsets.standing(number) == ("A", False, False)
    assert simulator.get("/simulator/log")["log"] == []
