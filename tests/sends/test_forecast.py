"""What a send would come to and when its last text leaves: counted as it then happens, and true when it is made."""

import random
from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.content.tables.templates import find_template, find_template_version
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import maintenance
from portal.messages import lanes
from portal.messages.tables import delivery_counts as models_progress
from portal.sends import fan_out, progress, send_control, send_creation, send_preview
from portal.sends.forecast import Forecast, current_traffic
from portal.sends.rules.completion_forecast import BlockReason
from portal.sends.tables import audience as audiences
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import lane_driver, scenario
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")
EVERYONE = {"all": True}


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
    found = progress.send_report(send_id, at_ms or now_ms()).forecast
    assert found
    return found


def create_mixed_accounts(seed: int, total: int = 120) -> None:
    """Accounts with none to three numbers, some shared, stopped, dead, held elsewhere; some accounts closed."""
    chance = random.Random(seed)
    lane_driver.create_many_accounts(total, "M", sms_every=total)
    keys = list(db.session.scalars(select(Account.id).order_by(Account.id)))
    numbers = [f"+1416200{place:04d}" for place in range(total)]
    held: set[str] = set()
    rows = []
    for account_id in keys:
        for number in chance.sample(numbers, chance.choice([0, 1, 1, 2, 3])):
            holds = number not in held and chance.random() < 0.5
            held.update([number] if holds else [])
            rows.append({"account_id": account_id, "number": number, "label": "", "receives_sms": holds})
    db.session.execute(insert(PhoneNumber), [row | {"created_at_ms": 1} for row in rows])
    marks = [{"number": number, "stopped_at_ms": chance.choice([None, 1])} for number in numbers[::3]]
    db.session.execute(insert(PhoneState), [mark | {"unreachable_at_ms": chance.choice([None, 1])} for mark in marks])
    db.session.execute(update(Account).where(Account.id.in_(keys[::17])).values(active=False))
    db.session.execute(update(Account).where(Account.id.in_(keys[::5])).values(account_type="N"))
    db.session.commit()


@pytest.mark.one_engine
@pytest.mark.parametrize("seed", range(6))
def test_what_the_database_counts_is_what_is_decided_for_each_of_them(seed: int) -> None:
    create_mixed_accounts(seed)
    for audience in (EVERYONE, {"account_type": "N"}, {"external_ids": [f"M-{n}" for n in range(0, 90, 2)]}):
        assert_counts_match_decisions(audience)


def assert_counts_match_decisions(audience: dict[str, object]) -> None:
    version = find_template_version(find_template("renewal"))
    people = audiences.recipients_after(audience, 0, 1_000)
    now = now_ms()
    decided = [
        decision
        for _, decision in send_preview.decide_recipients(people, send_preview.routing_query(version, now, now))
    ]
    found = send_preview.count_audience(version, audience, now)
    assert found.emails == len(people)
    assert found.texts == sum(decision.will_send for decision in decided)
    assert dict(found.reasons) == Counter(decision.reason for decision in decided if decision.reason)


def test_of_few_people_everybodys_words_are_weighed_and_of_many_an_even_part(monkeypatch: pytest.MonkeyPatch) -> None:
    lane_driver.create_many_accounts(60, "C", sms_every=2)
    few = send_creation.plan_send("renewal", EVERYONE, {}, now_ms())
    assert (few.texts, few.segments, few.segments_are_exact) == (30, 30, True)
    monkeypatch.setattr(send_preview, "SEGMENT_SAMPLE_SIZE", 10)
    written: list[str] = []
    real = send_preview.render_message
    monkeypatch.setattr(send_preview, "render_message", lambda *given: written.append(given[1].external_id) or real(*given))
    many = send_creation.plan_send("renewal", EVERYONE, {}, now_ms())
    assert (many.texts, many.segments, many.segments_are_exact) == (30, 30, False)
    assert written == [f"C-{place}" for place in range(0, 60, 6)]


def test_whose_name_breaks_the_template_breaks_no_confirmation() -> None:
    scenario.add_template("loop", body="{% for i in (1..external_id) %}x{% endfor %}")
    lane_driver.create_many_accounts(3)
    db.session.execute(update(Account).where(Account.external_id == "C-0").values(external_id="99999"))
    db.session.commit()
    plan = send_creation.plan_send("loop", EVERYONE, {}, now_ms())
    assert (plan.emails, plan.texts, plan.sample_recipient) == (3, 3, "C-1")
    with pytest.raises(InvalidInput, match="cannot be filled in for C-0"):
        send_creation.plan_send("loop", {"external_ids": ["99999"]}, {}, now_ms())


def test_a_send_remembers_how_many_texts_it_was_to_make() -> None:
    lane_driver.create_many_accounts(30, "C", sms_every=3)
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, now_ms())
    db.session.rollback()
    assert db.session.get_one(Send, send_id).planned_texts == 10
    assert forecast_of(send_id).texts == 10


def test_a_send_that_is_being_expanded_counts_what_is_still_to_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "CHUNK_SIZE", 50)
    lane_driver.create_many_accounts(200)
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, now_ms())
    fan_out.fan_out_send(send_id, scenario.now_ms, seconds=-1)
    found = forecast_of(send_id)
    assert (found.texts, found.segments) == (200, 200)
    fan_out.fan_out_send(send_id, scenario.now_ms)
    assert forecast_of(send_id).texts == 200


def test_a_forecast_made_at_the_start_is_what_happens() -> None:
    lane_driver.create_many_accounts(600)
    lane = LaneDriver()
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, lane.now_ms())
    found = forecast_of(send_id, lane.now_ms())
    assert found.last_text_at_ms
    began_ms = lane.now_ms()
    fan_out.fan_out_send(send_id, lane.now_ms)
    lane.run_until_sent(600)
    took_ms = lane.slots_us[-1] // 1000 - began_ms
    assert abs(found.last_text_at_ms - began_ms - took_ms) / took_ms < 0.01


def test_sends_that_share_a_lane_are_told_when_each_of_them_ends() -> None:
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    small, large = send_to(100, "S"), send_to(300, "L")
    urgent = send_to(40, "U", "alarm")
    lane = LaneDriver()
    told = {send_id: forecast_of(send_id, lane.now_ms()) for send_id in (small, large, urgent)}
    assert (told[small].urgent_segments, told[small].interleaved_segments, told[small].concurrent_sends) == (40, 100, 1)
    assert (told[large].urgent_segments, told[large].interleaved_segments, told[large].concurrent_sends) == (40, 100, 1)
    assert (told[urgent].urgent_segments, told[urgent].interleaved_segments, told[urgent].concurrent_sends) == (0, 0, 0)
    began_ms = lane.now_ms()
    lane.run_until_sent(440)
    for send_id, forecast in told.items():
        last = max(place for place, who in enumerate(lane.sent_send_ids) if who == send_id)
        took_ms = lane.slots_us[last] // 1000 - began_ms
        assert forecast.last_text_at_ms == pytest.approx(began_ms + took_ms, abs=max(150, 0.03 * took_ms))


def test_a_new_send_is_told_what_it_will_share() -> None:
    send_to(100, "L")
    lane_driver.create_many_accounts(20, "S")
    plan = send_creation.plan_send("renewal", {"account_type": "S"}, {}, now_ms())
    assert plan.forecast
    assert (plan.forecast.interleaved_segments, plan.forecast.concurrent_sends) == (20, 1)


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("standstill", "words"),
    [
        (BlockReason.SEND_PAUSED, "This send is paused"),
        (BlockReason.LANE_PAUSED, "The lane of its texts is paused"),
        (BlockReason.SENDER_PAUSED, "Nothing leaves from the sending number"),
        (BlockReason.SMS_OFF, "Texts are switched off"),
        (BlockReason.PROVIDER_UNAVAILABLE, "The gateway does not answer"),
        (BlockReason.NO_WORKER, "No process that sends texts"),
    ],
)
def test_while_something_stands_still_it_is_said_instead_of_a_time(standstill: BlockReason, words: str) -> None:
    send_id = send_to(100)
    LaneDriver().run_until_sent(1)
    assert forecast_of(send_id).block_reason is None
    later_ms = now_ms()
    if standstill == BlockReason.SEND_PAUSED:
        send_control.pause_send(send_id, None, now_ms())
    elif standstill == BlockReason.LANE_PAUSED:
        lanes.pause_lane("sms", 1, None, now_ms())
    elif standstill == BlockReason.SENDER_PAUSED:
        with transaction() as session:
            session.execute(update(SendingNumber).values(paused_reason="20003: wrong"))
    elif standstill == BlockReason.PROVIDER_UNAVAILABLE:
        with transaction() as session:
            session.execute(update(SendingNumber).values(down_since_ms=now_ms() - 60_000))
        plan = send_creation.plan_send("renewal", EVERYONE, {}, now_ms())
        assert plan.forecast
        assert plan.forecast.block_reason == standstill
    elif standstill == BlockReason.SMS_OFF:
        scenario.configure_gateway(EnableSmsNotifications="false")
    else:
        later_ms += 7_200_000
    found = forecast_of(send_id, later_ms)
    assert (found.block_reason, found.last_text_at_ms) == (standstill, None)
    assert found.block_reason
    assert found.block_reason.label.startswith(words)


def test_a_paused_send_is_no_company_and_a_paused_urgent_lane_is_nothing_ahead() -> None:
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    bulk, other = send_to(10, "B"), send_to(30, "O")
    send_to(5, "U", "alarm")
    assert (forecast_of(bulk).urgent_segments, forecast_of(bulk).interleaved_segments) == (5, 10)
    send_control.pause_send(other, None, now_ms())
    lanes.pause_lane("sms", 0, None, now_ms())
    assert (forecast_of(bulk).urgent_segments, forecast_of(bulk).interleaved_segments) == (0, 0)


def test_a_send_that_ends_after_more_than_ten_hours_is_too_late() -> None:
    scenario.configure_gateway(rate=0.1)
    lane_driver.create_many_accounts(3_602)
    send_id = send_creation.create_send("renewal", EVERYONE, {}, None, now_ms())
    assert forecast_of(send_id).is_late
    scenario.configure_gateway(rate=1)
    assert not forecast_of(send_id).is_late


def test_ten_hours_are_long_also_for_texts_that_are_of_use_for_days() -> None:
    scenario.configure_gateway(rate=0.1)
    scenario.add_template("steady", sms_expiry_hours="48")
    lane_driver.create_many_accounts(3_602)
    found = forecast_of(send_creation.create_send("steady", EVERYONE, {}, None, now_ms()))
    assert (found.is_late, found.expired_count) == (True, 0)


def test_shares_of_the_pace_follow_the_lanes() -> None:
    scenario.add_template("alarm", subject="Alarm", urgent=True)
    first, second = send_to(10, "A"), send_to(10, "B")

    def shares() -> list[float]:
        db.session.rollback()
        found = current_traffic(now_ms())
        return [found.current_share(send) for send in found.sends.values()]

    assert shares() == [0.5, 0.5]
    urgent = send_to(5, "U", "alarm")
    assert shares() == [0.0, 0.0, 1.0]
    send_control.pause_send(urgent, None, now_ms())
    send_control.pause_send(second, None, now_ms())
    assert shares() == [1.0, 0.0, 0.0]
    lanes.pause_lane("sms", 1, None, now_ms())
    assert shares() == [0.0, 0.0, 0.0]
    assert first


def test_a_send_that_has_ended_has_no_forecast() -> None:
    send_id = send_to(3)
    send_control.cancel_send(send_id, None, now_ms())
    db.session.rollback()
    assert progress.send_report(send_id, now_ms()).forecast is None


def test_of_very_many_texts_a_part_shows_the_time_zones_in_their_proportion() -> None:
    send_id = send_to(600)
    west = select(Account.id).where(Account.id % 4 == 0)
    with transaction() as session:
        session.execute(update(Account).where(Account.id.in_(west)).values(timezone="America/Los_Angeles"))
    whole = models_progress.waiting_time_zones([send_id])[send_id]
    part = models_progress.waiting_time_zones([send_id], models_progress.sampling_interval(120_000))[send_id]
    assert sum(part.values()) == pytest.approx(600 / 7, abs=2)
    for zone, number in whole.items():
        assert part[zone] / sum(part.values()) == pytest.approx(number / 600, abs=0.03)
