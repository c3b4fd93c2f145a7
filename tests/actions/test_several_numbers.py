"""Several sending numbers in the lane: each at its own pace, none held up by another."""

import itertools
import threading
from typing import Any

import handsets
import pytest
import queueing
import world
from flask import Flask
from queueing import Lane
from sqlalchemy import insert, select, update
from three_numbers import (
    OURS,
    accepted,
    knows,
    pause,
    refused,
    send_to,
    set_up,
    slots,
    three_numbers,
    unanswered,
)

from portal.actions import harness, progress
from portal.actions.forecast import traffic
from portal.actions.sms_claim import cycle
from portal.actions.sms_record import Result
from portal.actions.transaction import transaction
from portal.domain.allotment import Allotment
from portal.domain.forecasting import Standstill
from portal.domain.routing import TextKind
from portal.extensions import db
from portal.models import due
from portal.models.communication import Attempt, Delivery
from portal.models.gateway import Sender, is_any_away, paused_senders
from portal.models.phone import Handset, PhoneNumber

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def board(app: Flask) -> None:
    set_up()


def test_each_number_keeps_its_own_pace_and_together_they_are_three_times_as_fast() -> None:
    send_to(300)
    lane = Lane()
    lane.leave(300)
    found = slots()
    assert {number: len(its) for number, its in found.items()} == pytest.approx(dict.fromkeys(OURS, 100), abs=2)
    for its in found.values():
        gaps = [later - earlier for earlier, later in itertools.pairwise(its)]
        assert min(gaps) >= 99, "ten a second, to the millisecond that slots are kept in"
    assert max(lane.slots_us) - min(lane.slots_us) < 10_600_000


def test_everybody_is_texted_from_the_same_number_each_time() -> None:
    queueing.crowd(60, "C")
    lane = Lane()
    for _ in range(2):
        world.send(audience={"account_type": "C"})
        lane.leave(60)
    pairs = db.session.execute(select(Attempt.sent_to, Attempt.sender).distinct()).all()
    assert len(pairs) == 60
    assert len({sender for _, sender in pairs}) == 3


def test_what_waits_for_a_number_that_is_taken_holds_up_no_other() -> None:
    """Hundreds at the head of the lane know one number; who comes after them knows another."""
    first = send_to(300, "A")
    for person in [row.address for row in world.deliveries("sms")]:
        knows(person, OURS[0])
    later = send_to(20, "B")
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(turn=10_000_000))
    for person in [row.address for row in world.deliveries("sms") if row.send_id == later]:
        knows(person, OURS[1])
    lane = Lane()
    lane.run(lambda: lane.left.count(later) == 20, most_seconds=4)
    assert lane.left.count(later) == 20
    assert lane.left.count(first) < 60


def test_hundreds_for_a_number_that_is_taken_hide_no_text_for_another() -> None:
    first = send_to(due.HEAD + 100, "A")
    with transaction() as session:
        session.execute(insert(Handset), [{"number": row.address, "knows": OURS[0]} for row in world.deliveries("sms")])
    queueing.crowd(9, "B")
    later = world.send(audience={"account_type": "B"})
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(turn=10_000_000))
    lane = Lane()
    lane.run(lambda: lane.left.count(later) == 6, most_seconds=4)
    assert lane.left.count(later) == 6, "those of the two other numbers"
    assert lane.left.count(first) < 60


def test_where_one_number_lags_behind_a_later_send_takes_turns_there() -> None:
    first = send_to(120, "A")
    with transaction() as session:
        people = [row.address for row in world.deliveries("sms")]
        session.execute(insert(Handset), [{"number": person, "knows": OURS[0]} for person in people[:100]])
    lane = Lane()
    lane.leave(60)
    later = send_to(20, "B")
    for person in [row.address for row in world.deliveries("sms") if row.send_id == later]:
        knows(person, OURS[0])
    lane.left.clear()
    lane.leave(20)
    assert 8 <= lane.left.count(later) <= 12
    assert lane.left.count(first) == 20 - lane.left.count(later)


def test_a_reading_that_takes_long_gives_slots_that_can_still_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each text would be past its slot when it is its turn, and be claimed anew for ever."""
    send_to(40)
    now_us, head = [world.now_us() + 1_000_000], due.head

    def slow(*arguments: Any) -> list[due.Candidate]:
        now_us[0] += 700_000
        return head(*arguments)

    monkeypatch.setattr(due, "head", slow)
    found = cycle([], 64, lambda: now_us[0])
    assert found.claimed
    assert min(claimed.slot_us for claimed in found.claimed) >= now_us[0]


def test_the_second_test_text_to_a_phone_waits_for_its_number_alone_while_texts_are_off() -> None:
    three_numbers(rate=1, EnableSmsNotifications="false")
    account_id = handsets.account("S")
    for words in ("One", "Two"):
        harness.send_test(world.number(1), words, account_id, world.now_ms())
    now_us = world.now_us() + 1_000_000
    assert len(cycle([], 64, lambda: now_us).claimed) == 1
    second = cycle([], 64, lambda: now_us)
    assert not second.claimed
    assert second.next_us is not None


@pytest.mark.parametrize("chosen", OURS)
def test_a_test_text_leaves_from_the_number_that_was_chosen_also_while_that_one_is_paused(chosen: str) -> None:
    """Whichever the phone is texted from otherwise, however many texts of others stand before it."""
    send_to(due.HEAD + 50)
    pause(chosen)
    account_id = handsets.account("S")
    knows(world.number(1), OURS[0])
    wanted = harness.send_test(world.number(1), "Is it there?", account_id, world.now_ms(), chosen)
    now_us = world.now_us() + 1_000_000
    (tried,) = [claimed for claimed in cycle([], 64, lambda: now_us).claimed if claimed.kind == TextKind.TEST]
    assert tried.sender.key == chosen
    assert db.session.get_one(Delivery, tried.delivery_id).communication_id == wanted


def test_a_provider_that_answers_at_one_number_is_away_from_none() -> None:
    send_to(3)
    now_us = world.now_us() + 1_000_000
    claimed = cycle([], 64, lambda: now_us).claimed[0]
    with transaction() as session:
        session.execute(update(Sender).values(away_since_ms=1))
    cycle([unanswered(claimed)], 64, lambda: now_us)
    assert is_any_away(OURS, 1)
    cycle([accepted(claimed)], 64, lambda: now_us)
    assert not is_any_away(OURS, world.now_ms())


def test_a_lane_with_work_for_one_number_alone_waits_for_it_and_does_not_spin() -> None:
    send_to(40)
    for person in [row.address for row in world.deliveries("sms")]:
        knows(person, OURS[2])
    now_us = world.now_us() + 1_000_000
    first = cycle([], 64, lambda: now_us)
    again = cycle([], 64, lambda: now_us)
    assert first.claimed
    assert not again.claimed
    assert again.next_us is not None
    assert again.next_us > now_us + 200_000


def test_while_one_number_is_paused_the_others_go_on_and_the_forecast_says_so() -> None:
    send_id = send_to(90)
    Lane().leave(3)
    left = len(slots().get(OURS[1], []))
    among = Allotment(tuple(OURS))
    its = [row for row in world.deliveries("sms") if among.key_for(row.address, None) == OURS[1]]
    pause(OURS[1])
    lane = Lane()
    lane.run(lambda: False, most_seconds=30)
    assert world.states("sms")["ready"] == len(its) - left > 20
    assert len(slots().get(OURS[1], [])) == left
    db.session.rollback()
    forecast = progress.report(send_id, world.now_ms()).forecast
    assert forecast is not None
    assert forecast.stands is Standstill.ONE_OF_SENDERS_PAUSED
    found = cycle([], 64, lambda: lane.now_us)
    assert (found.claimed, found.next_us) == ((), None), "who resumes it rings"


def test_a_number_that_is_not_answered_rests_alone() -> None:
    send_to(150)
    silent = OURS[2]
    lane, results = Lane(), list[Result]()
    for _ in range(12):
        found = cycle(results, 64, lambda: lane.now_us)
        results = [unanswered(one) if one.sender.key == silent else accepted(one) for one in found.claimed]
        lane.now_us += 400_000
    rests = {row.number: row.rests_until_us > lane.now_us for row in db.session.scalars(select(Sender))}
    assert rests == {OURS[0]: False, OURS[1]: False, silent: True}
    assert len(slots()[OURS[0]]) > len(slots()[silent])


def test_the_forecast_knows_the_pace_of_all_numbers_together() -> None:
    send_id = send_to(300)
    lane = Lane()
    lane.step()
    forecast = progress.report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    assert forecast.rate == pytest.approx(30, rel=0.05)
    lane.leave(300)
    assert forecast.last_text_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_the_forecast_follows_the_number_that_nearly_everybody_knows() -> None:
    queueing.crowd(90, "C")
    with transaction() as session:
        people = list(session.scalars(select(PhoneNumber.number)))
        session.execute(insert(Handset), [{"number": person, "knows": OURS[0]} for person in people])
    assert traffic(world.now_ms()).largest_share == 1, "before any text waits, as people are enabled"
    send_id = world.send(audience={"account_type": "C"})
    lane = Lane()
    lane.step()
    forecast = progress.report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    lane.leave(90)
    assert forecast.last_text_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_two_workers_that_pause_different_numbers_wait_for_each_other_in_no_circle(app: Flask) -> None:
    send_to(240)
    errors: list[BaseException] = []

    def work(turn: int) -> None:
        with app.app_context():
            results, now_us = list[Result](), world.now_us()
            try:
                for _ in range(15):
                    now_us += 400_000
                    found = cycle(results, 30, lambda now_us=now_us: now_us)
                    results = [accepted(one) if one.sender.key == OURS[0] else refused(one) for one in found.claimed]
                    results = results[::turn]
                cycle(results, 0, lambda: now_us)
            except BaseException as error:
                errors.append(error)
            db.session.remove()

    threads = [threading.Thread(target=work, args=(turn,)) for turn in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert [row.number for row in paused_senders()] == OURS[1:]
