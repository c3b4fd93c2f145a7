"""Texts from handsets that come out of order, more than once, late, or by no webhook at all."""

import json
import random
import threading

import handsets
import parts
import pytest
import world
from flask import Flask
from sqlalchemy import delete, select

from portal.actions import consent, consent_by_hand
from portal.actions.asker import AT_THE_SHELL
from portal.domain.consent import Event, Standing
from portal.extensions import db
from portal.gateways.provider import NotAnswered
from portal.models.consent import ConsentEvent
from portal.models.gateway import AppSetting

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
    global NOW  # not the moment of import: in a long run that is many minutes ago
    NOW = world.now_ms()
    world.open_gateway()


def sends_from_a(number_type: str) -> None:
    sender = {"FromNumber": parts.FROM, "NumberType": number_type}
    world.open_gateway(SmsGatewaySettings=json.dumps(sender))


def twenty(dice: random.Random) -> list[tuple[str, int]]:
    """Twenty texts of one handset, oldest first, often several in one second, the last one half a minute ago."""
    at_ms, found = NOW - 30_000, []
    for body in (dice.choice(BODIES) for _ in range(20)):
        found.append((body, at_ms))
        at_ms -= dice.choice([0, 1, 300, 700, 2_500])
    return found[::-1]


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("seed", "number_type"), [(0, "long_code"), (1, "long_code"), (2, "toll_free"), (3, "toll_free")]
)
def test_twenty_texts_out_of_order_three_times_each_end_as_if_heard_in_order_once(
    simulator: parts.Simulator, seed: int, number_type: str
) -> None:
    sends_from_a(number_type)
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
    handsets.look(NOW + 1_000)
    assert handsets.said(chaotic) == handsets.said(orderly)
    assert [words for words, _times in handsets.said(chaotic)] == [
        body for body, _at in texts if body != "who is this?"
    ]
    assert {times for _words, times in handsets.said(chaotic)} == {1}
    holder, *states = handsets.standing(orderly)
    assert handsets.standing(chaotic) == ({"A": "C", "B": "D", None: None}[holder], *states)
    assert [reply.asks for reply in handsets.in_order(chaotic)] == [reply.asks for reply in handsets.in_order(orderly)]


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
    handsets.look(NOW)
    assert faults == []
    assert handsets.said(number) == [(body, 1) for body, _at in texts]
    assert handsets.standing(number) == ("A", False, False)


def heard(simulator: parts.Simulator, sent: list[str], arrived: list[str]) -> str:
    """A number of A's alone, from which each of the words came once, put in order by now."""
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    times = [NOW - 9_000 + 5_000 * place for place in range(len(sent))]
    sids = dict(zip(sent, handsets.seed(simulator, list(zip(sent, times, strict=True)), number), strict=True))
    for place, word in enumerate(arrived):
        handsets.says(word, number, NOW - 2_000 + 1_000 * place, sids[word])
    handsets.look(NOW)
    return number


def asking(number: str) -> list[str]:
    """The texts that wait for an administrator."""
    return [reply.body for reply in handsets.in_order(number) if reply.asks]


def test_a_yes_that_overtook_a_stop_does_not_reopen_a_toll_free_number(simulator: parts.Simulator) -> None:
    """Until the next text, which Twilio refuses with 21610."""
    sends_from_a("toll_free")
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    stop, yes = handsets.seed(simulator, [("STOP", NOW - 9_000), ("YES", NOW - 4_000)], number)
    handsets.says("YES", number, NOW - 2_000, yes)
    handsets.says("STOP", number, NOW - 1_000, stop)
    handsets.look(NOW)
    assert handsets.standing(number)[1]


@pytest.mark.one_engine
@pytest.mark.parametrize("arrived", [["STOP", "YES"], ["YES", "STOP"]])
@pytest.mark.parametrize(("sent", "holder", "asks"), [(["STOP", "YES"], None, ["YES"]), (["YES", "STOP"], "A", [])])
def test_at_a_toll_free_number_the_order_of_time_alone_says_what_a_yes_did(
    simulator: parts.Simulator, arrived: list[str], sent: list[str], holder: str | None, asks: list[str]
) -> None:
    sends_from_a("toll_free")
    number = heard(simulator, sent, arrived)
    assert (handsets.standing(number), asking(number)) == ((holder, True, False), asks)


@pytest.mark.parametrize("arrived", [["STOP", "YES"], ["YES", "STOP"]])
def test_at_a_long_code_a_yes_reopens_in_whatever_order_the_two_came(
    simulator: parts.Simulator, arrived: list[str]
) -> None:
    sends_from_a("long_code")
    number = heard(simulator, ["STOP", "YES"], arrived)
    assert (handsets.standing(number), asking(number)) == (("A", False, False), [])


@pytest.mark.parametrize("number_type", ["toll_free", "long_code"])
def test_where_no_stop_was_said_yes_enables_the_texts(simulator: parts.Simulator, number_type: str) -> None:
    sends_from_a(number_type)
    number = heard(simulator, ["YES"], ["YES"])
    assert (handsets.standing(number), asking(number)) == (("A", False, False), [])
    assert [address for address, _state, _why in handsets.texts("welcome")] == [number]


def test_a_start_after_the_yes_that_lifted_nothing_reopens_and_leaves_nothing_to_ask(
    simulator: parts.Simulator,
) -> None:
    sends_from_a("toll_free")
    number = heard(simulator, ["STOP", "YES", "START"], ["YES", "START", "STOP"])
    assert (handsets.standing(number), asking(number)) == (("A", False, False), [])


def test_a_stop_learned_of_by_hand_sets_a_yes_after_it_before_somebodys_eyes(simulator: parts.Simulator) -> None:
    """It was said before the YES and is written down long after it."""
    sends_from_a("toll_free")
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    handsets.says("I have had enough of you", number, NOW - 40 * MINUTE_MS)
    handsets.says("YES", number, NOW - 20 * MINUTE_MS)
    assert (handsets.standing(number), asking(number)) == (("A", False, False), ["I have had enough of you"])
    consent_by_hand.decide_reply(handsets.in_order(number)[0].id, "stop", AT_THE_SHELL, NOW)
    assert handsets.standing(number) == (None, True, False)
    assert asking(number) == ["I have had enough of you", "YES"]


def test_a_start_that_had_to_be_asked_about_names_the_account_it_enabled(simulator: parts.Simulator) -> None:
    number = world.number(0)
    (account_id,) = handsets.shared(number, NOW - MINUTE_MS, "A")
    stop, start = handsets.seed(simulator, [("STOP", NOW - 9_000), ("START", NOW - 4_000)], number)
    handsets.says("STOP", number, NOW - 2_000, stop)
    handsets.says("START", number, NOW - 1_000, start)
    handsets.look(NOW)
    assert handsets.standing(number) == ("A", False, False)
    query = select(ConsentEvent.account_id).where(ConsentEvent.kind == "start")
    assert db.session.scalars(query).one() == account_id


def test_a_start_that_overtook_a_stop_of_the_same_second_stands_after_it(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    stop, start = handsets.seed(simulator, [("STOP", NOW - 900), ("START", NOW - 400)], number)
    handsets.says("START", number, NOW - 300, start)
    handsets.says("STOP", number, NOW - 200, stop)
    assert handsets.standing(number) == ("A", True, False), "a STOP counts at once, whatever its place"
    handsets.look(NOW)
    assert handsets.standing(number) == ("A", False, False)


def test_a_start_beside_a_stop_waits_until_twilio_has_told_which_was_first(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    start, stop = handsets.seed(simulator, [("START", NOW - 9_000), ("STOP", NOW - 4_000)], number)
    handsets.says("STOP", number, NOW - 3_000, stop)
    handsets.says("START", number, NOW - 1_000, start)
    assert handsets.standing(number)[1]
    handsets.look(NOW)
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
            handsets.look(at_ms)
        assert handsets.standing(number)[1]
    with pytest.raises(NotAnswered):
        handsets.look(NOW + 60_000)
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
    handsets.look(NOW + 1_000)
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
    handsets.look(NOW)
    assert handsets.standing(number)[1]
    handsets.look(NOW + 6_000)
    assert handsets.standing(number) == ("A", False, False)


def test_what_the_list_shows_too_late_is_put_right_then(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    start, stop = handsets.seed(simulator, [("START", NOW - 9_000), ("STOP", NOW - 4_000)], number)
    handsets.says("STOP", number, NOW - 2_000, stop)
    handsets.says("START", number, NOW - 1_000, start)
    simulator.faults(list_stale_ms=3_600_000)
    handsets.look(NOW + 6_000)
    assert not handsets.standing(number)[1]
    simulator.faults()
    handsets.look(NOW + 2 * MINUTE_MS)
    assert handsets.standing(number) == ("A", True, False)


def test_without_credentials_nobody_is_asked_and_texts_stand_as_they_came(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - MINUTE_MS, "A")
    handsets.says("STOP", number, NOW - 2_000)
    handsets.says("START", number, NOW - 1_000)
    db.session.execute(delete(AppSetting).where(AppSetting.name == "SmsGatewayAuthentication"))
    db.session.commit()
    handsets.look(NOW)
    assert handsets.standing(number) == ("A", False, False)
    assert simulator.get("/simulator/log")["log"] == []


def test_a_webhook_held_up_for_minutes_does_not_outrun_a_stop_by_hand(simulator: parts.Simulator) -> None:
    number = world.number(0)
    handsets.shared(number, NOW - 60 * MINUTE_MS, "A")
    (start,) = handsets.seed(simulator, [("START", NOW - 3 * MINUTE_MS)], number)
    consent_by_hand.opt_out(number, "phone", "rang us", AT_THE_SHELL, NOW - MINUTE_MS)
    handsets.says("START", number, NOW, start)
    assert handsets.standing(number)[1]
    handsets.look(NOW + 1_000)
    assert handsets.standing(number) == ("A", True, False)
