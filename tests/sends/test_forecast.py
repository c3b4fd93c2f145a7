"""Previews and forecasts of a send match what then happens."""

import random
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from portal.accounts.tables.accounts import Account, Recipient
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.content.rendering import MessageRenderer, RenderedMessage
from portal.content.tables.templates import find_template, find_template_version
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.lanes import Lane
from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.messages import lane_control
from portal.messages.tables import delivery_counts
from portal.sends import fan_out, progress, send_control, send_creation, send_preview
from portal.sends.forecast import Forecast, current_traffic
from portal.sends.rules.completion_forecast import BlockReason
from portal.sends.tables.audience import recipients_after
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import lane_driver, scenario
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")
EVERYONE: dict[str, object] = {"all": True}


@pytest.fixture(autouse=True)
def gateway_and_worker(app: Flask) -> None:
    scenario.configure_gateway(rate=20)
    scenario.add_template()
    maintenance.record_heartbeat("a worker", "worker:sms", scenario.now_ms() + 3_600_000)


def send_to(total: int, prefix: str = "C", key: str = "renewal") -> int:
    lane_driver.create_many_accounts(total, prefix)
    return scenario.create_expanded_send(key, {"account_type": prefix})


def forecast_of(send_id: int, at_ms: int | None = None) -> Forecast:
    db.session.rollback()
    forecast = progress.send_report(send_id, at_ms or now_ms()).forecast
    assert forecast
    return forecast


def create_mixed_accounts(seed: int, total: int = 120) -> None:
    """Accounts with up to three phone numbers: shared, stopped, unreachable, enabled elsewhere; some are inactive."""
    chance = random.Random(seed)
    lane_driver.create_many_accounts(total, "M", sms_every=total)
    account_ids = list(db.session.scalars(select(Account.id).order_by(Account.id)))
    phones = [f"+1416200{index:04d}" for index in range(total)]
    enabled: set[str] = set()
    rows = []
    for account_id in account_ids:
        for phone in chance.sample(phones, chance.choice([0, 1, 1, 2, 3])):
            is_enabled = phone not in enabled and chance.random() < 0.5
            enabled.update([phone] if is_enabled else [])
            rows.append({"account_id": account_id, "number": phone, "label": "", "receives_sms": is_enabled})
    db.session.execute(insert(PhoneNumber), [row | {"created_at_ms": 1} for row in rows])
    states = [{"number": phone, "stopped_at_ms": chance.choice([None, 1])} for phone in phones[::3]]
    db.session.execute(insert(PhoneState), [row | {"unreachable_at_ms": chance.choice([None, 1])} for row in states])
    db.session.execute(update(Account).where(Account.id.in_(account_ids[::17])).values(active=False))
    db.session.execute(update(Account).where(Account.id.in_(account_ids[::5])).values(account_type="N"))
    db.session.commit()


@pytest.mark.one_engine
@pytest.mark.parametrize("seed", range(6))
def test_counts_match_the_decisions_for_each_recipient(seed: int) -> None:
    create_mixed_accounts(seed)
    external_ids = [f"M-{index}" for index in range(0, 90, 2)]
    audiences: list[dict[str, object]] = [EVERYONE, {"account_type": "N"}, {"external_ids": external_ids}]
    for audience in audiences:
        assert_counts_match_decisions(audience)


def assert_counts_match_decisions(audience: dict[str, object]) -> None:
    template = find_template("renewal")
    assert template
    version, now = find_template_version(template), now_ms()
    recipients = recipients_after(audience, 0, 1_000)
    query = send_preview.routing_query(version, now, now)
    decisions = [decision for _, decision in send_preview.decide_recipients(recipients, query)]
    counts = send_preview.count_audience(version, audience, {}, now)
    assert counts.emails == len(recipients)
    assert counts.texts == sum(decision.will_send for decision in decisions)
    assert dict(counts.reasons) == Counter(decision.reason for decision in decisions if decision.reason)


def test_segments_are_estimated_from_an_even_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    lane_driver.create_many_accounts(60, "C", sms_every=2)
    few = send_creation.plan_send("renewal", EVERYONE, {}, now_ms())
    assert (few.texts, few.segments, few.segments_are_exact) == (30, 30, True)
    monkeypatch.setattr(send_preview, "SEGMENT_SAMPLE_SIZE", 10)
    rendered: list[str] = []

    original = MessageRenderer.render

    def render(renderer: MessageRenderer, account: Recipient, *args: Any) -> RenderedMessage:
        rendered.append(account.external_id)
        return original(renderer, account, *args)

    monkeypatch.setattr(MessageRenderer, "render", render)
    many = send_creation.plan_send("renewal", EVERYONE, {}, now_ms())
    assert (many.texts, many.segments, many.segments_are_exact) == (30, 30, False)
    assert rendered == [f"C-{index}" for index in range(0, 60, 6)]


def test_render_error_of_one_account_does_not_break_the_plan() -> None:
    scenario.add_template("loop", body="{% for i in (1..external_id) %}x{% endfor %}")
    lane_driver.create_many_accounts(3)
    db.session.execute(
        update(Account).where(Account.external_id == "C-0").values(external_id="99999", external_id_folded="99999")
    )
    db.session.commit()
    plan = send_creation.plan_send("loop", EVERYONE, {}, now_ms())
    assert (plan.emails, plan.texts, plan.unfilled.people, plan.sample_recipient) == (2, 2, 1, "C-1")
    alone = send_creation.plan_send("loop", {"external_ids": ["99999"]}, {}, now_ms())
    assert (alone.emails, alone.without_message, alone.unfilled.people) == (0, 1, 1)


def test_send_stores_its_planned_texts() -> None:
    lane_driver.create_many_accounts(30, "C", sms_every=3)
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, now_ms())
    db.session.rollback()
    assert db.session.get_one(Send, send_id).planned_texts == 10
    assert forecast_of(send_id).texts == 10


def test_forecast_during_fan_out_includes_texts_not_created_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 50)
    lane_driver.create_many_accounts(200)
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, now_ms())
    fan_out.fan_out_send(send_id, scenario.now_ms, seconds=-1)
    forecast = forecast_of(send_id)
    assert (forecast.texts, forecast.segments) == (200, 200)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert forecast_of(send_id).texts == 200


def test_forecast_at_the_start_matches_the_outcome() -> None:
    lane_driver.create_many_accounts(600)
    lane = LaneDriver()
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, lane.now_ms())
    forecast = forecast_of(send_id, lane.now_ms())
    assert forecast.last_text_at_ms
    began_ms = lane.now_ms()
    fan_out.fan_out_send(send_id, lane.now_ms)
    lane.run_until_sent(600)
    took_ms = lane.slots_us[-1] // 1000 - began_ms
    assert abs(forecast.last_text_at_ms - began_ms - took_ms) / took_ms < 0.01


def test_forecasts_of_concurrent_sends_match_the_outcome() -> None:
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    small, large = send_to(100, "S"), send_to(300, "L")
    urgent = send_to(40, "U", "alarm")
    lane = LaneDriver()
    forecasts = {send_id: forecast_of(send_id, lane.now_ms()) for send_id in (small, large, urgent)}
    competition = {
        send_id: (forecast.urgent_segments, forecast.interleaved_segments, forecast.concurrent_sends)
        for send_id, forecast in forecasts.items()
    }
    assert competition == {small: (40, 100, 1), large: (40, 100, 1), urgent: (0, 0, 0)}
    began_ms = lane.now_ms()
    lane.run_until_sent(440)
    for send_id, forecast in forecasts.items():
        last = max(index for index, sent_id in enumerate(lane.sent_send_ids) if sent_id == send_id)
        took_ms = lane.slots_us[last] // 1000 - began_ms
        assert forecast.last_text_at_ms == pytest.approx(began_ms + took_ms, abs=max(150, 0.03 * took_ms))


def test_plan_includes_concurrent_sends() -> None:
    send_to(100, "L")
    lane_driver.create_many_accounts(20, "S")
    plan = send_creation.plan_send("renewal", {"account_type": "S"}, {}, now_ms())
    assert plan.forecast
    assert (plan.forecast.interleaved_segments, plan.forecast.concurrent_sends) == (20, 1)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("block_reason", "label"),
    [
        (BlockReason.SEND_PAUSED, "This send is paused"),
        (BlockReason.LANE_PAUSED, "The lane of this send is paused"),
        (BlockReason.SENDER_PAUSED, "The sending number is paused"),
        (BlockReason.SMS_OFF, "Texts are switched off"),
        (BlockReason.PROVIDER_UNAVAILABLE, "The SMS gateway is not responding"),
        (BlockReason.NO_WORKER, "No worker for texts is running"),
    ],
)
def test_forecast_has_a_block_reason_instead_of_a_time(block_reason: BlockReason, label: str) -> None:
    send_id = send_to(100)
    LaneDriver().run_until_sent(1)
    assert forecast_of(send_id).block_reason is None
    later_ms = now_ms()
    if block_reason == BlockReason.SEND_PAUSED:
        send_control.pause_send(send_id, None, now_ms())
    elif block_reason == BlockReason.LANE_PAUSED:
        lane_control.pause_lane("sms", Lane.BULK, None, now_ms())
    elif block_reason == BlockReason.SENDER_PAUSED:
        with transaction() as session:
            session.execute(update(SendingNumber).values(paused_reason="20003: wrong"))
    elif block_reason == BlockReason.PROVIDER_UNAVAILABLE:
        with transaction() as session:
            session.execute(update(SendingNumber).values(down_since_ms=now_ms() - 60_000))
        plan = send_creation.plan_send("renewal", EVERYONE, {}, now_ms())
        assert plan.forecast
        assert plan.forecast.block_reason == block_reason
    elif block_reason == BlockReason.SMS_OFF:
        scenario.configure_gateway(EnableSmsNotifications="false")
    else:
        later_ms += 7_200_000
    forecast = forecast_of(send_id, later_ms)
    assert (forecast.block_reason, forecast.last_text_at_ms) == (block_reason, None)
    assert forecast.block_reason
    assert forecast.block_reason.label == label


def test_paused_sends_and_lanes_do_not_compete() -> None:
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    bulk, other = send_to(10, "B"), send_to(30, "O")
    send_to(5, "U", "alarm")
    assert (forecast_of(bulk).urgent_segments, forecast_of(bulk).interleaved_segments) == (5, 10)
    send_control.pause_send(other, None, now_ms())
    lane_control.pause_lane("sms", Lane.URGENT, None, now_ms())
    assert (forecast_of(bulk).urgent_segments, forecast_of(bulk).interleaved_segments) == (0, 0)


def test_send_longer_than_ten_hours_is_late() -> None:
    scenario.configure_gateway(rate=0.1)
    lane_driver.create_many_accounts(3_602)
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, now_ms())
    assert forecast_of(send_id).is_late
    scenario.configure_gateway(rate=1)
    assert not forecast_of(send_id).is_late


def test_send_with_a_long_expiry_can_be_late() -> None:
    scenario.configure_gateway(rate=0.1)
    scenario.add_template("steady", sms_expiry_hours="48")
    lane_driver.create_many_accounts(3_602)
    forecast = forecast_of(send_creation.create_send("steady", EVERYONE, {}, None, now_ms()))
    assert (forecast.is_late, forecast.expired_count) == (True, 0)


def test_current_share_follows_the_lanes() -> None:
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    send_to(10, "A")
    second = send_to(10, "B")

    def shares() -> list[float]:
        db.session.rollback()
        traffic = current_traffic(now_ms())
        return [traffic.current_share(send) for send in traffic.sends.values()]

    assert shares() == [0.5, 0.5]
    urgent = send_to(5, "U", "alarm")
    assert shares() == [0.0, 0.0, 1.0]
    send_control.pause_send(urgent, None, now_ms())
    send_control.pause_send(second, None, now_ms())
    assert shares() == [1.0, 0.0, 0.0]
    lane_control.pause_lane("sms", Lane.BULK, None, now_ms())
    assert shares() == [0.0, 0.0, 0.0]


def test_ended_send_has_no_forecast() -> None:
    send_id = send_to(3)
    send_control.cancel_send(send_id, None, now_ms())
    db.session.rollback()
    assert progress.send_report(send_id, now_ms()).forecast is None


def test_sampled_places_are_proportional() -> None:
    send_id = send_to(600)
    west = select(Account.id).where(Account.id % 4 == 0)
    with transaction() as session:
        session.execute(update(Account).where(Account.id.in_(west)).values(timezone="America/Los_Angeles"))
    all_zones = delivery_counts.waiting_places([send_id])[send_id]
    sampled_zones = delivery_counts.waiting_places([send_id], delivery_counts.sampling_interval(120_000))[send_id]
    assert sum(sampled_zones.values()) == pytest.approx(600 / 7, abs=2)
    for zone, count in all_zones.items():
        assert sampled_zones[zone] / sum(sampled_zones.values()) == pytest.approx(count / 600, abs=0.03)
