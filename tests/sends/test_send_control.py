"""Pausing, resuming and cancelling sends and lanes: at once, without a burst, with nothing lost or sent after all."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core import audit_log
from portal.core.audit_log import AuditEntry
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import email_claim, sms_worker
from portal.delivery.sms_claim import record_and_claim
from portal.delivery.sms_results import SmsResult
from portal.gateways.outcomes import Accepted, NotSent
from portal.messages import lanes
from portal.sends import fan_out, progress, send_control, send_creation
from portal.sends.tables import state_sync
from portal.sends.tables.sends import Send
from tests.support import lane_driver, scenario, servers
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def gateway_and_template(app: Flask) -> None:
    scenario.configure_gateway(rate=100)
    scenario.add_template()


def send_to(total: int, prefix: str = "C") -> int:
    lane_driver.create_many_accounts(total, prefix)
    return scenario.create_expanded_send(audience={"account_type": prefix})


def pause(send_id: int) -> None:
    send_control.pause_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)


def resume(send_id: int) -> None:
    send_control.resume_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)


def audit_actions() -> list[tuple[str, str]]:
    db.session.rollback()
    rows = db.session.execute(select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id))
    return [(action, subject) for action, subject in rows]


def run_in_thread(app: Flask, work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        with app.app_context():
            work()
            db.session.remove()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def max_per_second(slots_us: list[int]) -> int:
    return max(sum(1 for other in slots_us if slot <= other < slot + 1_000_000) for slot in slots_us)


def test_a_paused_send_leaves_nothing_and_a_resumed_one_all_of_it_once() -> None:
    send_id = send_to(60)
    lane = LaneDriver()
    lane.run_until_sent(20)
    sent_send_ids = len(lane.sent_send_ids)
    pause(send_id)
    lane.run_idle(10)
    assert len(lane.sent_send_ids) == sent_send_ids
    assert scenario.count_states("sms")["paused"] == 60 - sent_send_ids
    assert scenario.count_states("email") == {"paused": 60}
    resume(send_id)
    lane.run_until_sent(60)
    lane.claim_once()
    assert scenario.count_states("sms") == {"accepted": 60}
    assert scenario.count_states("email") == {"ready": 60}
    assert [row.attempt_count for row in scenario.deliveries("sms")] == [1] * 60


@pytest.mark.one_engine
@pytest.mark.parametrize("what", ["send", "lane", "everything"])
def test_what_is_paused_while_a_worker_drains_stands_still_within_a_second(
    app: Flask, simulator: servers.SimulatorClient, what: str
) -> None:
    send_id = send_to(300)
    worker = run_in_thread(app, lambda: sms_worker.drain_sms())
    servers.wait_for(lambda: len(simulator.accepted_texts()) > 30, "the accepted_texts to be under way")
    {
        "send": lambda: send_control.pause_send(send_id, None, now_ms()),
        "lane": lambda: lanes.pause_lane("sms", 1, None, now_ms()),
        "everything": lambda: lanes.pause_all_lanes(None, now_ms()),
    }[what]()
    paused_ms = now_ms()
    worker.join()
    calls = [call["at_ms"] for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]
    assert max(calls) - paused_ms <= 1_000
    assert len(calls) < 300, "some were still to leave"


@pytest.mark.one_engine
@pytest.mark.parametrize("what", ["send", "lane", "idle lane"])
def test_what_stood_still_for_a_minute_does_not_catch_up_in_a_burst(what: str) -> None:
    send_id = send_to(150)
    lane = LaneDriver()
    if what != "idle lane":
        lane.run_until_sent(20)
    steering: tuple[Callable[[], None], Callable[[], None]] = {
        "send": (lambda: pause(send_id), lambda: resume(send_id)),
    }.get(
        what, (lambda: lanes.pause_lane("sms", 1, None, now_ms()), lambda: lanes.resume_lane("sms", 1, None, now_ms()))
    )
    steering[0]()
    lane.run_idle(60)
    steering[1]()
    lane.run_until_sent(150)
    assert len(lane.sent_send_ids) == 150
    assert max_per_second(lane.slots_us) <= 101


def test_a_cancelled_send_has_left_what_left_and_leaves_nothing_more() -> None:
    send_id = send_to(80)
    mails = [item.delivery_id for item in email_claim.claim_emails(now_ms())]
    lane = LaneDriver()
    lane.run_until_sent(30)
    sent_send_ids = len(lane.sent_send_ids)
    send_control.cancel_send(send_id, None, now_ms())
    lane.run(lambda: len(lane.sent_send_ids) > sent_send_ids, most_seconds=10)
    assert email_claim.claim_emails(now_ms()) == []
    send_control.apply_to_deliveries(send_id, now_ms)
    lane.run(lambda: len(lane.sent_send_ids) > sent_send_ids, most_seconds=10)
    assert scenario.count_states("sms") == {"accepted": sent_send_ids, "canceled": 80 - sent_send_ids}
    assert scenario.count_states("email") == {"sending": len(mails), "canceled": 80 - len(mails)}
    send = db.session.get_one(Send, send_id)
    assert send.state == "canceled"
    assert send.cancel_applied_at_ms
    assert progress.send_report(send_id, now_ms()).state == "canceled"


def test_a_paused_send_can_be_cancelled() -> None:
    send_id = send_to(10)
    pause(send_id)
    send_control.cancel_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)
    assert scenario.count_states("sms") == scenario.count_states("email") == {"canceled": 10}


def test_a_text_that_comes_back_after_the_cancelling_does_not_leave_again() -> None:
    send_id = send_to(1)
    claimed = record_and_claim([], 10, scenario.now_us).claimed[0]
    send_control.cancel_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)
    back = SmsResult(
        claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.sender_key, NotSent("Too many", 0, 429)
    )
    assert record_and_claim([back], 10, scenario.now_us).claimed == ()
    later_us = scenario.now_us() + 60_000_000
    assert record_and_claim([], 10, lambda: later_us).claimed == ()
    assert scenario.count_states("sms") == {"canceled": 1}


def test_the_receipt_of_a_text_that_left_before_the_cancelling_still_counts() -> None:
    send_id = send_to(1)
    claimed = record_and_claim([], 10, scenario.now_us).claimed[0]
    send_control.cancel_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)
    taken = SmsResult(claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.sender_key, Accepted("SM1"))
    record_and_claim([taken], 0, scenario.now_us)
    assert scenario.count_states("sms") == {"accepted": 1}


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_what_a_worker_left_half_way_when_it_died_is_completed(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setattr("portal.sends.tables.state_sync.CHUNK", 7)
    send_id = send_to(30)
    if verb == "resume":
        pause(send_id)
    steer = {"pause": send_control.pause_send, "resume": send_control.resume_send, "cancel": send_control.cancel_send}
    steer[verb](send_id, None, now_ms())
    _crash_after(monkeypatch, 3, send_id)
    wanted = {"pause": "paused", "resume": "ready", "cancel": "canceled"}[verb]
    assert 0 < scenario.count_states("email")[wanted] < 30
    send_control.apply_all_pending(now_ms)
    assert scenario.count_states("email") == scenario.count_states("sms") == {wanted: 30}
    assert state_sync.out_of_sync_send_ids() == []


def _crash_after(monkeypatch: pytest.MonkeyPatch, chunks: int, send_id: int) -> None:
    class Died(Exception):
        pass

    left = iter(range(chunks))
    real = state_sync.move_deliveries

    def move(*given: object, **more: object) -> int:
        if next(left, None) is None:
            raise Died
        return real(*given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(state_sync, "move_deliveries", move)
        with pytest.raises(Died):
            send_control.apply_to_deliveries(send_id, now_ms)


def test_a_worker_that_is_asked_to_stop_hands_over_and_a_cancelled_send_is_not_called_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("portal.sends.tables.state_sync.CHUNK", 5)
    send_id = send_to(20)
    send_control.cancel_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms, should_stop=lambda: True)
    db.session.rollback()
    assert db.session.get_one(Send, send_id).cancel_applied_at_ms is None
    scenario.run_scheduler_once(now_ms)
    assert scenario.count_states("sms") == {"canceled": 20}


def test_a_send_that_is_paused_while_it_is_expanded_waits_and_leaves_whole_when_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 10)
    lane_driver.create_many_accounts(40)
    send_id = send_creation.create_send("renewal", {"account_type": "C"}, {}, None, now_ms())
    fan_out.fan_out_send(send_id, scenario.now_ms, seconds=-1)
    pause(send_id)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert scenario.count_states("sms") == scenario.count_states("email") == {"paused": 40}
    lane = LaneDriver()
    lane.run(lambda: bool(lane.sent_send_ids), most_seconds=5)
    assert lane.sent_send_ids == []
    assert db.session.get_one(Send, send_id).state == "sending"
    resume(send_id)
    lane.run_until_sent(40)
    assert Counter(lane.sent_send_ids) == {send_id: 40}


def test_a_chunk_that_was_made_just_before_the_pause_waits_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fan-out looks at the send, the send is paused, the chunk is written."""
    lane_driver.create_many_accounts(10)
    send_id = send_creation.create_send("renewal", {"account_type": "C"}, {}, None, now_ms())
    real = fan_out._build_chunk

    def overtaken(send: Send, *given: object) -> fan_out.FanOutChunk:
        chunk = real(send, *given)  # type: ignore[arg-type]
        pause(send_id)
        return chunk

    monkeypatch.setattr(fan_out, "_build_chunk", overtaken)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    lane = LaneDriver()
    lane.run(lambda: bool(lane.sent_send_ids), most_seconds=2)
    assert lane.sent_send_ids == []
    send_control.apply_all_pending(now_ms)
    assert scenario.count_states("sms") == scenario.count_states("email") == {"paused": 10}


def test_a_send_that_is_cancelled_while_it_is_expanded_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 10)
    lane_driver.create_many_accounts(40)
    send_id = send_creation.create_send("renewal", {"account_type": "C"}, {}, None, now_ms())
    fan_out.fan_out_send(send_id, scenario.now_ms, seconds=-1)
    send_control.cancel_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert scenario.count_states("sms") == scenario.count_states("email") == {"canceled": 10}
    assert db.session.get_one(Send, send_id).state == "canceled"


def test_with_the_bulk_lane_paused_urgent_texts_go_on() -> None:
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    send_to(20)
    lane_driver.create_many_accounts(5, "U")
    lanes.pause_lane("sms", 1, None, now_ms())
    urgent = scenario.create_expanded_send("alarm", {"account_type": "U"})
    lane = LaneDriver()
    lane.run_until_sent(25)
    assert Counter(lane.sent_send_ids) == {urgent: 5}
    lanes.resume_lane("sms", 1, None, now_ms())
    lane.run_until_sent(20)
    assert len(lane.sent_send_ids) == 25


def test_pausing_texts_leaves_mails_alone_and_pausing_everything_does_not() -> None:
    send_to(5)
    lanes.pause_lane("sms", 1, None, now_ms())
    assert len(email_claim.claim_emails(now_ms())) == 5
    scenario.create_expanded_send(audience={"account_type": "C"})
    lanes.pause_all_lanes(None, now_ms())
    assert email_claim.claim_emails(now_ms()) == []
    assert record_and_claim([], 10, scenario.now_us).claimed == ()
    lanes.resume_all_lanes(None, now_ms())
    assert len(email_claim.claim_emails(now_ms())) == 5
    assert len(record_and_claim([], 10, scenario.now_us).claimed) == 10


def test_who_did_what_is_in_the_audit_log_and_a_second_click_adds_nothing() -> None:
    send_id = send_to(3)
    for _ in range(2):
        pause(send_id)
    for _ in range(2):
        resume(send_id)
    lanes.pause_lane("sms", 0, None, now_ms())
    lanes.pause_all_lanes(None, now_ms())
    lanes.pause_all_lanes(None, now_ms())
    lanes.resume_all_lanes(None, now_ms())
    lanes.resume_lane("email", 1, None, now_ms())
    send_control.cancel_send(send_id, None, now_ms())
    four = ["sms urgent", "sms bulk", "email urgent", "email bulk"]
    assert audit_actions()[:3] == [
        ("send_paused", f"send {send_id}"),
        ("send_resumed", f"send {send_id}"),
        ("lane_paused", four[0]),
    ]
    assert audit_actions()[3:6] == [("lane_paused", name) for name in four[1:]]
    assert audit_actions()[6:] == [*(("lane_resumed", name) for name in four), ("send_canceled", f"send {send_id}")]


def test_a_send_that_has_ended_or_does_not_exist_cannot_be_steered() -> None:
    send_id = send_to(1)
    send_control.cancel_send(send_id, None, now_ms())
    for steer in (send_control.pause_send, send_control.resume_send, send_control.cancel_send):
        with pytest.raises(ActionRefused, match="ended already"):
            steer(send_id, None, now_ms())
        with pytest.raises(ActionRefused, match="There is no send 99"):
            steer(99, None, now_ms())
    with pytest.raises(ActionRefused, match="no such lane"):
        lanes.pause_lane("fax", 1, None, now_ms())
    assert audit_actions() == [("send_canceled", f"send {send_id}")]


def test_a_send_whose_last_message_left_before_the_cancelling_stays_done(app: Flask) -> None:
    send_id = send_to(1)
    with transaction():
        db.session.get_one(Send, send_id).state = "done"
    with pytest.raises(ActionRefused):
        send_control.cancel_send(send_id, None, now_ms())
    db.session.rollback()
    assert db.session.get_one(Send, send_id).state == "done"


def test_the_audit_log_is_read_page_by_page_newest_first() -> None:
    for _ in range(3):
        lanes.pause_lane("sms", 1, None, now_ms())
        lanes.resume_lane("sms", 1, None, now_ms())
    first = audit_log.audit_page_before(None, 4)
    rest = audit_log.audit_page_before(first[-1].id, 4)
    assert [entry.action for entry in (*first, *rest)] == ["lane_resumed", "lane_paused"] * 3


def test_pausing_and_resuming_while_four_workers_drain_sends_each_text_once(
    app: Flask, simulator: servers.SimulatorClient
) -> None:
    scenario.configure_gateway(rate=300)
    send_id = send_to(400)
    steered = threading.Event()

    def work() -> None:
        """As a worker that is rung for again and again: while the send stands still there is nothing to do."""
        while not steered.is_set():
            sms_worker.drain_sms(steered.is_set)

    workers = [run_in_thread(app, work) for _ in range(4)]
    try:
        for wanted in (50, 100, 150, 200):
            servers.wait_for(
                lambda wanted=wanted: len(simulator.accepted_texts()) >= wanted, "more accepted_texts to leave"
            )
            pause(send_id)
            resume(send_id)
    finally:
        steered.set()
        for worker in workers:
            worker.join()
    scenario.run_sms_worker()
    assert Counter(text["to"] for text in simulator.accepted_texts()).most_common(1)[0][1] == 1
    assert scenario.count_states("sms") == {"accepted": 400}
