"""Several sending numbers in a lane: each keeps its own pace, and none blocks another."""

import itertools
import threading
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.core.rules.sender_assignment import SenderAssignment
from portal.core.transaction import transaction
from portal.delivery.sms_attempt import SmsResult
from portal.delivery.sms_claim import record_and_claim
from portal.delivery.tables import ready_queue
from portal.messages.tables.communications import Attempt, Delivery
from portal.operations import test_messages
from portal.sends import progress
from portal.sends.forecast import current_traffic
from portal.sends.rules.completion_forecast import BlockReason
from portal.settings.tables.sending_numbers import SendingNumber, is_any_sender_down, paused_senders
from tests.support import inbound_helpers, lane_driver, scenario
from tests.support.lane_driver import LaneDriver
from tests.support.multi_sender_scenario import (
    SENDING_NUMBERS,
    accepted_result,
    configure_three_numbers,
    pause_sending_number,
    rejected_result,
    send_to_new_accounts,
    set_preferred_sender,
    set_up_three_numbers,
    slots_by_sending_number,
    unanswered_result,
)

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def three_sending_numbers(app: Flask) -> None:
    set_up_three_numbers()


def test_each_sending_number_keeps_its_own_pace() -> None:
    send_to_new_accounts(120)
    lane = LaneDriver()
    lane.run_until_sent(120)
    slots = slots_by_sending_number()
    assert {number: len(times) for number, times in slots.items()} == pytest.approx(
        dict.fromkeys(SENDING_NUMBERS, 40), abs=2
    )
    for times in slots.values():
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert min(gaps) >= 99, "ten a second; slots are stored in milliseconds"
    assert max(lane.slots_us) - min(lane.slots_us) < 4_600_000


def test_recipients_keep_their_sending_number() -> None:
    lane_driver.create_many_accounts(60, "C")
    lane = LaneDriver()
    for _ in range(2):
        scenario.create_expanded_send(audience={"account_type": "C"})
        lane.run_until_sent(60)
    pairs = db.session.execute(select(Attempt.destination, Attempt.sender).distinct()).all()
    assert len(pairs) == 60
    assert len({sender for _, sender in pairs}) == 3


def test_busy_number_does_not_block_the_others() -> None:
    """Hundreds at the head of the lane wait for one number; those behind them use another."""
    first = send_to_new_accounts(300, "A")
    set_preferred_sender([row.address for row in scenario.deliveries("sms")], SENDING_NUMBERS[0])
    later = send_to_new_accounts(20, "B")
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(queue_position=10_000_000))
    set_preferred_sender(
        [row.address for row in scenario.deliveries("sms") if row.send_id == later], SENDING_NUMBERS[1]
    )
    lane = LaneDriver()
    lane.run(lambda: lane.sent_send_ids.count(later) == 20, max_seconds=4)
    assert lane.sent_send_ids.count(later) == 20
    assert lane.sent_send_ids.count(first) < 60


def test_texts_behind_a_long_queue_for_a_busy_number_are_found() -> None:
    first = send_to_new_accounts(ready_queue.SCAN_LIMIT + 100, "A")
    set_preferred_sender([row.address for row in scenario.deliveries("sms")], SENDING_NUMBERS[0])
    lane_driver.create_many_accounts(9, "B")
    later = scenario.create_expanded_send(audience={"account_type": "B"})
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(queue_position=10_000_000))
    lane = LaneDriver()
    lane.run(lambda: lane.sent_send_ids.count(later) == 6, max_seconds=4)
    assert lane.sent_send_ids.count(later) == 6, "those of the other two numbers"
    assert lane.sent_send_ids.count(first) < 60


def test_later_send_alternates_on_a_slow_number() -> None:
    first = send_to_new_accounts(120, "A")
    set_preferred_sender([row.address for row in scenario.deliveries("sms")][:100], SENDING_NUMBERS[0])
    lane = LaneDriver()
    lane.run_until_sent(60)
    later = send_to_new_accounts(20, "B")
    set_preferred_sender(
        [row.address for row in scenario.deliveries("sms") if row.send_id == later], SENDING_NUMBERS[0]
    )
    lane.sent_send_ids.clear()
    lane.run_until_sent(20)
    assert 8 <= lane.sent_send_ids.count(later) <= 12
    assert lane.sent_send_ids.count(first) == 20 - lane.sent_send_ids.count(later)


def test_slow_query_assigns_no_slot_in_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each text would miss its slot and be claimed again forever."""
    send_to_new_accounts(40)
    now_us, next_candidates = [scenario.now_us() + 1_000_000], ready_queue.next_candidates

    def slow(*arguments: Any) -> list[ready_queue.Candidate]:
        now_us[0] += 700_000
        return next_candidates(*arguments)

    monkeypatch.setattr(ready_queue, "next_candidates", slow)
    cycle = record_and_claim([], 64, lambda: now_us[0])
    assert cycle.claimed
    assert min(claimed.slot_us for claimed in cycle.claimed) >= now_us[0]


def test_second_test_text_waits_for_its_number() -> None:
    configure_three_numbers(rate=1, EnableSmsNotifications="false")
    account_id = inbound_helpers.new_account("S")
    for body in ("One", "Two"):
        test_messages.send_test_text(scenario.phone_number(1), body, account_id, scenario.now_ms())
    now_us = scenario.now_us() + 1_000_000
    assert len(record_and_claim([], 64, lambda: now_us).claimed) == 1
    second = record_and_claim([], 64, lambda: now_us)
    assert not second.claimed
    assert second.next_claim_us is not None


@pytest.mark.parametrize("chosen", SENDING_NUMBERS)
def test_test_text_uses_the_chosen_number_even_if_paused(chosen: str) -> None:
    """Whatever number the phone is usually texted from, and however many texts wait before it."""
    send_to_new_accounts(ready_queue.SCAN_LIMIT + 50)
    pause_sending_number(chosen)
    account_id = inbound_helpers.new_account("S")
    set_preferred_sender([scenario.phone_number(1)], SENDING_NUMBERS[0])
    communication_id = test_messages.send_test_text(
        scenario.phone_number(1), "Is it there?", account_id, scenario.now_ms(), chosen
    )
    now_us = scenario.now_us() + 1_000_000
    (test_text,) = [
        claimed for claimed in record_and_claim([], 64, lambda: now_us).claimed if claimed.kind == TextKind.TEST
    ]
    assert test_text.sender.sender_key == chosen
    assert db.session.get_one(Delivery, test_text.attempt.delivery_id).communication_id == communication_id


def test_answer_for_one_number_ends_the_outage_for_all() -> None:
    send_to_new_accounts(3)
    now_us = scenario.now_us() + 1_000_000
    claimed = record_and_claim([], 64, lambda: now_us).claimed[0]
    with transaction() as session:
        session.execute(update(SendingNumber).values(down_since_ms=1))
    record_and_claim([unanswered_result(claimed)], 64, lambda: now_us)
    assert is_any_sender_down(SENDING_NUMBERS, 1)
    record_and_claim([accepted_result(claimed)], 64, lambda: now_us)
    assert not is_any_sender_down(SENDING_NUMBERS, scenario.now_ms())


def test_lane_waits_for_its_only_needed_number() -> None:
    send_to_new_accounts(40)
    set_preferred_sender([row.address for row in scenario.deliveries("sms")], SENDING_NUMBERS[2])
    now_us = scenario.now_us() + 1_000_000
    first = record_and_claim([], 64, lambda: now_us)
    again = record_and_claim([], 64, lambda: now_us)
    assert first.claimed
    assert not again.claimed
    assert again.next_claim_us is not None
    assert again.next_claim_us > now_us + 200_000


def test_other_numbers_continue_while_one_is_paused() -> None:
    send_id = send_to_new_accounts(90)
    LaneDriver().run_until_sent(3)
    sent = len(slots_by_sending_number().get(SENDING_NUMBERS[1], []))
    assignment = SenderAssignment(tuple(SENDING_NUMBERS))
    assigned = [
        row for row in scenario.deliveries("sms") if assignment.sender_for(row.address, None) == SENDING_NUMBERS[1]
    ]
    pause_sending_number(SENDING_NUMBERS[1])
    lane = LaneDriver()
    lane.run(lambda: False, max_seconds=10)
    assert scenario.count_states("sms")["ready"] == len(assigned) - sent > 20
    assert len(slots_by_sending_number().get(SENDING_NUMBERS[1], [])) == sent
    db.session.rollback()
    forecast = progress.send_report(send_id, scenario.now_ms()).forecast
    assert forecast is not None
    assert forecast.block_reason is BlockReason.ONE_OF_SENDERS_PAUSED
    cycle = record_and_claim([], 64, lambda: lane.now_us)
    assert (cycle.claimed, cycle.next_claim_us) == ((), None), "resuming it enqueues a run"


def test_only_the_unanswered_number_cools_down() -> None:
    send_to_new_accounts(150)
    silent = SENDING_NUMBERS[2]
    lane, results = LaneDriver(), list[SmsResult]()
    for _ in range(12):
        cycle = record_and_claim(results, 64, lambda: lane.now_us)
        results = [
            unanswered_result(text) if text.sender.sender_key == silent else accepted_result(text)
            for text in cycle.claimed
        ]
        lane.now_us += 400_000
    is_cooling_down = {row.number: row.retry_at_us > lane.now_us for row in db.session.scalars(select(SendingNumber))}
    assert is_cooling_down == {SENDING_NUMBERS[0]: False, SENDING_NUMBERS[1]: False, silent: True}
    assert len(slots_by_sending_number()[SENDING_NUMBERS[0]]) > len(slots_by_sending_number()[silent])


def test_forecast_uses_the_combined_pace_of_all_numbers() -> None:
    send_id = send_to_new_accounts(120)
    lane = LaneDriver()
    lane.claim_once()
    forecast = progress.send_report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    assert forecast.segments_per_second == pytest.approx(30, rel=0.05)
    lane.run_until_sent(120)
    assert forecast.last_text_at_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_forecast_follows_the_busiest_number() -> None:
    lane_driver.create_many_accounts(90, "C")
    set_preferred_sender(list(db.session.scalars(select(PhoneNumber.number))), SENDING_NUMBERS[0])
    assert current_traffic(scenario.now_ms()).busiest_sender_share == 1, "before any text waits, by enabled phones"
    send_id = scenario.create_expanded_send(audience={"account_type": "C"})
    lane = LaneDriver()
    lane.claim_once()
    forecast = progress.send_report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    lane.run_until_sent(90)
    assert forecast.last_text_at_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_workers_pausing_different_numbers_do_not_deadlock(app: Flask) -> None:
    send_to_new_accounts(240)
    errors: list[BaseException] = []

    def work(turn: int) -> None:
        with app.app_context():
            results, now_us = list[SmsResult](), scenario.now_us()
            try:
                for _ in range(15):
                    now_us += 400_000
                    cycle = record_and_claim(results, 30, partial(int, now_us))
                    results = [
                        accepted_result(text) if text.sender.sender_key == SENDING_NUMBERS[0] else rejected_result(text)
                        for text in cycle.claimed
                    ]
                    results = results[::turn]
                record_and_claim(results, 0, lambda: now_us)
            except BaseException as error:
                errors.append(error)
            db.session.remove()

    threads = [threading.Thread(target=work, args=(turn,)) for turn in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    assert [row.number for row in paused_senders()] == SENDING_NUMBERS[1:]
