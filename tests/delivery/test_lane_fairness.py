"""Sends share the bulk lane fairly, urgent texts go first, and resumed texts overtake nobody."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.delivery import sms_worker
from portal.delivery.email_claim import claim_emails
from portal.messages.tables.communications import Delivery
from portal.sends import fan_out, send_control, send_creation
from portal.sends.tables.sends import Send
from tests.support import lane_driver, scenario, servers
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")


def send_to(prefix: str, total: int, sms_every: int = 1, key: str = "renewal") -> int:
    lane_driver.create_many_accounts(total, prefix, sms_every)
    return scenario.create_expanded_send(key, {"account_type": prefix})


@pytest.fixture(autouse=True)
def gateway_and_templates(app: Flask) -> None:
    scenario.configure_gateway(rate=100)
    scenario.add_template()
    scenario.add_template("alarm", subject="Alarm", urgent=True)


def test_new_send_is_fanned_out_before_the_rest_of_a_large_one() -> None:
    """Its first texts need not wait until the large send is fanned out."""
    lane_driver.create_many_accounts(2 * fan_out.CHUNK_SIZE, "L")
    lane_driver.create_many_accounts(40, "S")
    large, small = (
        send_creation.create_send("renewal", {"account_type": kind}, {}, None, scenario.now_ms()) for kind in ("L", "S")
    )
    fan_out.fan_out_send(large, scenario.now_ms)
    assert deliveries_of(large) == fan_out.CHUNK_SIZE
    fan_out.fan_out_send(small, scenario.now_ms)
    fan_out.fan_out_send(large, scenario.now_ms)
    assert (deliveries_of(small), deliveries_of(large)) == (40, 2 * fan_out.CHUNK_SIZE)


def test_stuck_send_does_not_block_the_fan_out_of_others() -> None:
    lane_driver.create_many_accounts(2 * fan_out.CHUNK_SIZE, "L")
    large = send_creation.create_send("renewal", {"account_type": "L"}, {}, None, scenario.now_ms())
    send_creation.create_send("renewal", {"account_type": "L"}, {}, None, scenario.now_ms() - 120_000)
    fan_out.fan_out_send(large, scenario.now_ms)
    assert deliveries_of(large) == 2 * fan_out.CHUNK_SIZE


def deliveries_of(send_id: int) -> int:
    db.session.rollback()
    return db.session.get_one(Send, send_id).recipients


def test_small_send_does_not_wait_behind_a_large_one() -> None:
    large = send_to("L", 250)
    lane = LaneDriver()
    lane.run_until_sent(100)
    assert set(lane.sent_send_ids) == {large}
    before, small = len(lane.sent_send_ids), send_to("S", 40)
    lane.run_until_sent(120)
    assert Counter(lane.sent_send_ids[before : before + 100])[small] >= 39
    assert Counter(lane.sent_send_ids)[small] == 40


def test_three_simultaneous_sends_alternate_to_the_end() -> None:
    send_ids = [send_to(prefix, 75) for prefix in "ABC"]
    lane = LaneDriver()
    lane.run_until_sent(150)
    counts = Counter(lane.sent_send_ids[:150])
    assert max(counts[send] for send in send_ids) - min(counts[send] for send in send_ids) <= 2


def test_send_with_few_texts_is_not_delayed_by_its_emails() -> None:
    """Texts have queue positions of their own: recipients of the email only do not count."""
    large = send_to("L", 150)
    sparse = send_to("S", 400, sms_every=10)
    lane = LaneDriver()
    lane.run_until_sent(100)
    assert Counter(lane.sent_send_ids[:100])[sparse] == 40
    assert large in lane.sent_send_ids


def test_slow_fan_out_does_not_overtake_other_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 40)
    other = send_to("O", 200)
    lane_driver.create_many_accounts(80, "S")
    slow = send_creation.create_send("renewal", {"account_type": "S"}, {}, None, now_ms())
    fan_out.fan_out_send(slow, scenario.now_ms, seconds=-1)
    lane = LaneDriver()
    lane.run_until_sent(160)
    assert Counter(lane.sent_send_ids)[slow] == 40
    before = len(lane.sent_send_ids)
    fan_out.fan_out_send(slow, scenario.now_ms)
    lane.run_until_sent(40)
    assert 16 <= Counter(lane.sent_send_ids[before : before + 40])[other] <= 24


@pytest.mark.one_engine
@pytest.mark.parametrize("chunk_size", [1_000, 20])
def test_resumed_send_alternates_with_others(monkeypatch: pytest.MonkeyPatch, chunk_size: int) -> None:
    monkeypatch.setattr("portal.sends.tables.state_sync.CHUNK_SIZE", chunk_size)
    paused = send_to("H", 80)
    send_control.pause_send(paused, None, now_ms())
    send_control.apply_to_deliveries(paused, now_ms)
    other = send_to("O", 200)
    lane = LaneDriver()
    lane.run_until_sent(120)
    assert set(lane.sent_send_ids) == {other}
    before = len(lane.sent_send_ids)
    send_control.resume_send(paused, None, now_ms())
    send_control.apply_to_deliveries(paused, now_ms)
    lane.run_until_sent(80)
    assert 36 <= Counter(lane.sent_send_ids[before : before + 80])[other] <= 44


def test_fan_out_after_a_pause_queues_behind_resumed_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 40)
    other = send_to("O", 280)
    lane_driver.create_many_accounts(120, "H")
    paused = send_creation.create_send("renewal", {"account_type": "H"}, {}, None, now_ms())
    fan_out.fan_out_send(paused, scenario.now_ms, seconds=-1)
    send_control.pause_send(paused, None, now_ms())
    send_control.apply_to_deliveries(paused, now_ms)
    lane = LaneDriver()
    lane.run_until_sent(120)
    before = len(lane.sent_send_ids)
    send_control.resume_send(paused, None, now_ms())
    send_control.apply_to_deliveries(paused, now_ms)
    fan_out.fan_out_send(paused, scenario.now_ms)
    lane.run_until_sent(160)
    assert 76 <= Counter(lane.sent_send_ids[before : before + 160])[other] <= 84


def test_emails_of_two_sends_alternate() -> None:
    large, small = send_to("L", 300), send_to("S", 40)
    claimed: list[int | None] = []
    for _ in range(5):
        ids = [item.attempt.delivery_id for item in claim_emails(now_ms())]
        sends = lane_driver.send_ids_by_delivery(ids)
        claimed += [sends[delivery_id] for delivery_id in ids]
    assert Counter(claimed)[small] == 40
    assert Counter(claimed)[large] == 60


def test_urgent_text_is_sent_within_a_second_and_a_slot(app: Flask, simulator: servers.SimulatorClient) -> None:
    rate = 3
    scenario.configure_gateway(rate=rate)
    send_to("L", 300)
    scenario.create_accounts(1, with_sms=1)
    stop = threading.Event()
    worker = threading.Thread(target=_drain, args=(app, stop.is_set))
    worker.start()
    try:
        servers.wait_for(lambda: len(simulator.accepted_texts()) >= 4, "the bulk texts to be under way")
        scenario.create_expanded_send("alarm", {"external_ids": ["P-0"]})
        created_ms = scenario.now_ms()
        servers.wait_for(lambda: scenario.phone_number(0) in dict(_arrival_order(simulator)), "the urgent text")
    finally:
        stop.set()
        worker.join()
    urgent = scenario.phone_number(0)  # on a busy machine it may arrive before the clock is read
    later = [phone for phone, at_ms in _arrival_order(simulator) if at_ms > created_ms or phone == urgent]
    assert later.index(urgent) <= rate + 1, "only texts of one second and one slot precede it"


def test_urgent_sends_precede_all_bulk_texts() -> None:
    bulk = send_to("B", 200)
    lane = LaneDriver()
    lane.run_until_sent(50)
    before = len(lane.sent_send_ids)
    urgent = send_to("U", 60, key="alarm")
    lane.run_until_sent(100)
    assert set(lane.sent_send_ids[before : before + 60]) == {urgent}
    assert set(lane.sent_send_ids[before + 60 :]) == {bulk}


def test_queue_positions_of_a_send_are_consecutive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 30)
    send_id = send_to("S", 200, sms_every=3)
    query = select(Delivery.queue_position).where(Delivery.send_id == send_id).order_by(Delivery.id)
    for channel, state in (("sms", "ready"), ("email", "ready")):
        positions = list(db.session.scalars(query.where(Delivery.channel == channel, Delivery.state == state)))
        assert positions == list(range(positions[0], positions[0] + len(positions)))
    assert db.session.get_one(Send, send_id).recipients == 200


def _drain(app: Flask, should_stop: Callable[[], bool]) -> None:
    with app.app_context():
        sms_worker.drain_sms(should_stop, seconds=60)
        db.session.remove()


def _arrival_order(simulator: servers.SimulatorClient) -> list[tuple[str, int]]:
    """(phone, milliseconds) of each request to send."""
    calls = [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]
    return [(call["to"], int(call["at_ms"])) for call in calls]
