"""Several sending numbers in the lane: each at its own pace, none held up by another."""

import itertools
import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.core.extensions import db
from portal.core.rules.routing import TextKind
from portal.core.rules.sender_assignment import SenderAssignment
from portal.core.transaction import transaction
from portal.delivery.sms_claim import record_and_claim
from portal.delivery.sms_results import SmsResult
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


def test_each_number_keeps_its_own_pace_and_together_they_are_three_times_as_fast() -> None:
    send_to_new_accounts(300)
    lane = LaneDriver()
    lane.run_until_sent(300)
    found = slots_by_sending_number()
    assert {number: len(its) for number, its in found.items()} == pytest.approx(
        dict.fromkeys(SENDING_NUMBERS, 100), abs=2
    )
    for its in found.values():
        gaps = [later - earlier for earlier, later in itertools.pairwise(its)]
        assert min(gaps) >= 99, "ten a second, to the millisecond that slots are kept in"
    assert max(lane.slots_us) - min(lane.slots_us) < 10_600_000


def test_everybody_is_texted_from_the_same_number_each_time() -> None:
    lane_driver.create_many_accounts(60, "C")
    lane = LaneDriver()
    for _ in range(2):
        scenario.create_expanded_send(audience={"account_type": "C"})
        lane.run_until_sent(60)
    pairs = db.session.execute(select(Attempt.destination, Attempt.sender).distinct()).all()
    assert len(pairs) == 60
    assert len({sender for _, sender in pairs}) == 3


def test_what_waits_for_a_number_that_is_taken_holds_up_no_other() -> None:
    """Hundreds at the head of the lane know one number; who comes after them knows another."""
    first = send_to_new_accounts(300, "A")
    for person in [row.address for row in scenario.deliveries("sms")]:
        set_preferred_sender(person, SENDING_NUMBERS[0])
    later = send_to_new_accounts(20, "B")
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(queue_position=10_000_000))
    for person in [row.address for row in scenario.deliveries("sms") if row.send_id == later]:
        set_preferred_sender(person, SENDING_NUMBERS[1])
    lane = LaneDriver()
    lane.run(lambda: lane.sent_send_ids.count(later) == 20, most_seconds=4)
    assert lane.sent_send_ids.count(later) == 20
    assert lane.sent_send_ids.count(first) < 60


def test_hundreds_for_a_number_that_is_taken_hide_no_text_for_another() -> None:
    first = send_to_new_accounts(ready_queue.SCAN_LIMIT + 100, "A")
    with transaction() as session:
        session.execute(
            insert(PhoneState),
            [{"number": row.address, "preferred_sender": SENDING_NUMBERS[0]} for row in scenario.deliveries("sms")],
        )
    lane_driver.create_many_accounts(9, "B")
    later = scenario.create_expanded_send(audience={"account_type": "B"})
    with transaction() as session:
        session.execute(update(Delivery).where(Delivery.send_id == later).values(queue_position=10_000_000))
    lane = LaneDriver()
    lane.run(lambda: lane.sent_send_ids.count(later) == 6, most_seconds=4)
    assert lane.sent_send_ids.count(later) == 6, "those of the two other numbers"
    assert lane.sent_send_ids.count(first) < 60


def test_where_one_number_lags_behind_a_later_send_takes_turns_there() -> None:
    first = send_to_new_accounts(120, "A")
    with transaction() as session:
        people = [row.address for row in scenario.deliveries("sms")]
        session.execute(
            insert(PhoneState), [{"number": person, "preferred_sender": SENDING_NUMBERS[0]} for person in people[:100]]
        )
    lane = LaneDriver()
    lane.run_until_sent(60)
    later = send_to_new_accounts(20, "B")
    for person in [row.address for row in scenario.deliveries("sms") if row.send_id == later]:
        set_preferred_sender(person, SENDING_NUMBERS[0])
    lane.sent_send_ids.clear()
    lane.run_until_sent(20)
    assert 8 <= lane.sent_send_ids.count(later) <= 12
    assert lane.sent_send_ids.count(first) == 20 - lane.sent_send_ids.count(later)


def test_a_reading_that_takes_long_gives_slots_that_can_still_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each text would be past its slot when it is its turn, and be claimed anew for ever."""
    send_to_new_accounts(40)
    now_us, next_candidates = [scenario.now_us() + 1_000_000], ready_queue.next_candidates

    def slow(*arguments: Any) -> list[ready_queue.Candidate]:
        now_us[0] += 700_000
        return next_candidates(*arguments)

    monkeypatch.setattr(ready_queue, "next_candidates", slow)
    found = record_and_claim([], 64, lambda: now_us[0])
    assert found.claimed
    assert min(claimed.slot_us for claimed in found.claimed) >= now_us[0]


def test_the_second_test_text_to_a_phone_waits_for_its_number_alone_while_texts_are_off() -> None:
    configure_three_numbers(rate=1, EnableSmsNotifications="false")
    account_id = inbound_helpers.new_account("S")
    for words in ("One", "Two"):
        test_messages.send_test_text(scenario.phone_number(1), words, account_id, scenario.now_ms())
    now_us = scenario.now_us() + 1_000_000
    assert len(record_and_claim([], 64, lambda: now_us).claimed) == 1
    second = record_and_claim([], 64, lambda: now_us)
    assert not second.claimed
    assert second.next_claim_us is not None


@pytest.mark.parametrize("chosen", SENDING_NUMBERS)
def test_a_test_text_leaves_from_the_number_that_was_chosen_also_while_that_one_is_paused(chosen: str) -> None:
    """Whichever the phone is texted from otherwise, however many texts of others stand before it."""
    send_to_new_accounts(ready_queue.SCAN_LIMIT + 50)
    pause_sending_number(chosen)
    account_id = inbound_helpers.new_account("S")
    set_preferred_sender(scenario.phone_number(1), SENDING_NUMBERS[0])
    wanted = test_messages.send_test_text(
        scenario.phone_number(1), "Is it there?", account_id, scenario.now_ms(), chosen
    )
    now_us = scenario.now_us() + 1_000_000
    (tried,) = [
        claimed for claimed in record_and_claim([], 64, lambda: now_us).claimed if claimed.kind == TextKind.TEST
    ]
    assert tried.sender.sender_key == chosen
    assert db.session.get_one(Delivery, tried.delivery_id).communication_id == wanted


def test_a_provider_that_answers_at_one_number_is_away_from_none() -> None:
    send_to_new_accounts(3)
    now_us = scenario.now_us() + 1_000_000
    claimed = record_and_claim([], 64, lambda: now_us).claimed[0]
    with transaction() as session:
        session.execute(update(SendingNumber).values(down_since_ms=1))
    record_and_claim([unanswered_result(claimed)], 64, lambda: now_us)
    assert is_any_sender_down(SENDING_NUMBERS, 1)
    record_and_claim([accepted_result(claimed)], 64, lambda: now_us)
    assert not is_any_sender_down(SENDING_NUMBERS, scenario.now_ms())


def test_a_lane_with_work_for_one_number_alone_waits_for_it_and_does_not_spin() -> None:
    send_to_new_accounts(40)
    for person in [row.address for row in scenario.deliveries("sms")]:
        set_preferred_sender(person, SENDING_NUMBERS[2])
    now_us = scenario.now_us() + 1_000_000
    first = record_and_claim([], 64, lambda: now_us)
    again = record_and_claim([], 64, lambda: now_us)
    assert first.claimed
    assert not again.claimed
    assert again.next_claim_us is not None
    assert again.next_claim_us > now_us + 200_000


def test_while_one_number_is_paused_the_others_go_on_and_the_forecast_says_so() -> None:
    send_id = send_to_new_accounts(90)
    LaneDriver().run_until_sent(3)
    left = len(slots_by_sending_number().get(SENDING_NUMBERS[1], []))
    among = SenderAssignment(tuple(SENDING_NUMBERS))
    its = [row for row in scenario.deliveries("sms") if among.sender_for(row.address, None) == SENDING_NUMBERS[1]]
    pause_sending_number(SENDING_NUMBERS[1])
    lane = LaneDriver()
    lane.run(lambda: False, most_seconds=30)
    assert scenario.count_states("sms")["ready"] == len(its) - left > 20
    assert len(slots_by_sending_number().get(SENDING_NUMBERS[1], [])) == left
    db.session.rollback()
    forecast = progress.send_report(send_id, scenario.now_ms()).forecast
    assert forecast is not None
    assert forecast.block_reason is BlockReason.ONE_OF_SENDERS_PAUSED
    found = record_and_claim([], 64, lambda: lane.now_us)
    assert (found.claimed, found.next_claim_us) == ((), None), "who resumes it rings"


def test_a_number_that_is_not_answered_rests_alone() -> None:
    send_to_new_accounts(150)
    silent = SENDING_NUMBERS[2]
    lane, results = LaneDriver(), list[SmsResult]()
    for _ in range(12):
        found = record_and_claim(results, 64, lambda: lane.now_us)
        results = [
            unanswered_result(one) if one.sender.sender_key == silent else accepted_result(one) for one in found.claimed
        ]
        lane.now_us += 400_000
    rests = {row.number: row.retry_at_us > lane.now_us for row in db.session.scalars(select(SendingNumber))}
    assert rests == {SENDING_NUMBERS[0]: False, SENDING_NUMBERS[1]: False, silent: True}
    assert len(slots_by_sending_number()[SENDING_NUMBERS[0]]) > len(slots_by_sending_number()[silent])


def test_the_forecast_knows_the_pace_of_all_numbers_together() -> None:
    send_id = send_to_new_accounts(300)
    lane = LaneDriver()
    lane.claim_once()
    forecast = progress.send_report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    assert forecast.segments_per_second == pytest.approx(30, rel=0.05)
    lane.run_until_sent(300)
    assert forecast.last_text_at_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_the_forecast_follows_the_number_that_nearly_everybody_knows() -> None:
    lane_driver.create_many_accounts(90, "C")
    with transaction() as session:
        people = list(session.scalars(select(PhoneNumber.number)))
        session.execute(
            insert(PhoneState), [{"number": person, "preferred_sender": SENDING_NUMBERS[0]} for person in people]
        )
    assert current_traffic(scenario.now_ms()).busiest_sender_share == 1, "before any text waits, as people are enabled"
    send_id = scenario.create_expanded_send(audience={"account_type": "C"})
    lane = LaneDriver()
    lane.claim_once()
    forecast = progress.send_report(send_id, lane.now_ms()).forecast
    assert forecast is not None
    lane.run_until_sent(90)
    assert forecast.last_text_at_ms == pytest.approx(max(lane.slots_us) // 1000, abs=400)


def test_two_workers_that_pause_different_numbers_wait_for_each_other_in_no_circle(app: Flask) -> None:
    send_to_new_accounts(240)
    errors: list[BaseException] = []

    def work(turn: int) -> None:
        with app.app_context():
            results, now_us = list[SmsResult](), scenario.now_us()
            try:
                for _ in range(15):
                    now_us += 400_000
                    found = record_and_claim(results, 30, lambda now_us=now_us: now_us)
                    results = [
                        accepted_result(one) if one.sender.sender_key == SENDING_NUMBERS[0] else rejected_result(one)
                        for one in found.claimed
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
