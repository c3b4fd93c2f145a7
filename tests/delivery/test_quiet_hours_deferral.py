"""Quiet hours: recipients get the email at once and the text in the morning, exactly once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneState
from portal.consent.tables.ledger import ConsentEvent
from portal.core.clock import now_ms
from portal.core.config import Settings
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.delivery import maintenance, restore_guard
from portal.delivery.tables import quarantine
from portal.messages.tables.communications import Delivery
from portal.messages.timeline import describe_state
from portal.sends import deferred_texts, fan_out, progress, send_control, send_creation
from portal.sends.tables.sends import Send
from portal.settings import setting_changes
from tests.support import lane_driver, scenario, servers
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")

HOUR_MS = 3_600_000
ASLEEP, AWAKE = "Africa/Abidjan", "Etc/GMT-12"
"""In UTC, and twelve hours from it, so it is day there whenever these tests run at night in UTC."""


@pytest.fixture
def default_settings(settings: Settings) -> Settings:
    return settings


@pytest.fixture
def app(app: Flask) -> Flask:
    """It is night in UTC from an hour ago until an hour from now."""
    now = datetime.now(UTC)
    hours = f"{(now - timedelta(hours=1)).time()}-{(now + timedelta(hours=1)).time()}"
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours=hours)
    return app


@pytest.fixture(autouse=True)
def gateway_and_worker(app: Flask) -> None:
    scenario.configure_gateway(rate=100)
    scenario.add_template()
    maintenance.record_heartbeat("a worker", "worker:sms", scenario.now_ms() + HOUR_MS)


def send_to(asleep: int, awake: int = 0) -> int:
    """Create a send; `asleep` of its recipients are in quiet hours, `awake` are not."""
    lane_driver.create_many_accounts(asleep + awake, "N")
    ids = list(db.session.scalars(select(Account.id).where(Account.account_type == "N").order_by(Account.id)))
    for zone, some in ((ASLEEP, ids[:asleep]), (AWAKE, ids[asleep:])):
        db.session.execute(update(Account).where(Account.id.in_(some)).values(timezone=zone))
    db.session.commit()
    return scenario.create_expanded_send(audience={"account_type": "N"})


def after_quiet_hours_ms() -> int:
    return scenario.now_ms() + HOUR_MS + 60_000


def release_deferred_at(at_ms: int) -> None:
    db.session.remove()
    deferred_texts.release_deferred(lambda: at_ms)


def test_text_is_deferred_during_quiet_hours(simulator: servers.SimulatorClient) -> None:
    send_to(asleep=3, awake=2)
    assert scenario.count_states("email") == {"ready": 5}
    assert scenario.count_states("sms") == {"deferred": 3, "ready": 2}
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 2
    asleep = [row for row in scenario.deliveries("sms") if row.state == "deferred"]
    assert {row.reason for row in asleep} == {Reason.QUIET_HOURS}
    assert all(HOUR_MS - 60_000 < row.due_at_ms - scenario.now_ms() < HOUR_MS + 1 for row in asleep)
    assert describe_state(asleep[0])[0] == "Waiting for the end of quiet hours"
    release_deferred_at(scenario.now_ms() + HOUR_MS // 2)
    assert scenario.count_states("sms")["deferred"] == 3, "it is still night"
    release_deferred_at(after_quiet_hours_ms())
    assert scenario.count_states("sms")["ready"] == 3
    assert {row.reason for row in scenario.deliveries("sms")} == {""}
    scenario.run_sms_worker(clock_ahead_ms=HOUR_MS + 120_000)
    assert len(simulator.accepted_texts()) == len({text["to"] for text in simulator.accepted_texts()}) == 5


@pytest.mark.usefixtures("simulator")
def test_claim_defers_texts_once_quiet_hours_begin() -> None:
    lane_driver.create_many_accounts(700, "N", timezone=ASLEEP)
    send_id = send_creation.create_send("renewal", {"account_type": "N"}, {}, None, now_ms())
    fan_out.fan_out_send(send_id, lambda: scenario.now_ms() - 2 * HOUR_MS)
    assert scenario.count_states("sms") == {"ready": 700}, "it was day two hours ago"
    lane = LaneDriver()
    lane.run_until_sent(1)
    assert lane.sent_send_ids == []
    assert scenario.count_states("sms") == {"deferred": 700}


@pytest.mark.parametrize("urgent", [True, False])
def test_urgent_texts_ignore_quiet_hours(urgent: bool) -> None:
    scenario.add_template("alarm", urgent=urgent)
    lane_driver.create_many_accounts(2, "N", timezone=ASLEEP)
    scenario.create_expanded_send("alarm", {"account_type": "N"})
    lane = LaneDriver()
    lane.run_until_sent(2)
    assert len(lane.sent_send_ids) == (2 if urgent else 0)


@pytest.mark.parametrize(
    "changes",
    [{"EnableSmsOverrideNumber": "true", "SmsOverrideNumber": "+14155550199"}, {"EnableSmsTestMode": "true"}],
)
def test_simulated_and_redirected_texts_ignore_quiet_hours(changes: dict[str, Any]) -> None:
    send_to(asleep=2)
    scenario.configure_gateway(**changes)
    lane_driver.create_many_accounts(1, "O", timezone=ASLEEP)
    scenario.create_expanded_send(audience={"account_type": "O"})
    assert scenario.count_states("sms") == {"deferred": 2, "ready": 1}
    release_deferred_at(scenario.now_ms())
    assert scenario.count_states("sms") == {"ready": 3}, "deferred texts are released as well"


def test_unsent_texts_are_deferred_again_after_test_mode() -> None:
    send_to(asleep=2)
    setting_changes.set_setting("EnableSmsTestMode", "true", None, now_ms())
    release_deferred_at(scenario.now_ms())
    setting_changes.set_setting("EnableSmsTestMode", "false", None, now_ms())
    LaneDriver().run_until_sent(1)
    assert scenario.count_states("sms") == {"deferred": 2}


def test_stop_applies_to_deferred_texts() -> None:
    send_to(asleep=2)
    number = scenario.deliveries("sms")[0].address
    row = {"number": number, "stopped_at_ms": now_ms()}
    db.session.merge(PhoneState(**row))
    db.session.commit()
    release_deferred_at(after_quiet_hours_ms())
    lane = LaneDriver(now_us=after_quiet_hours_ms() * 1000)
    lane.run_until_sent(2)
    assert len(lane.sent_send_ids) == 1
    assert scenario.count_states("sms")["skipped"] == 1
    assert db.session.scalar(select(ConsentEvent.id).limit(1)) is None


def test_deferred_send_can_be_paused_resumed_and_cancelled() -> None:
    send_id = send_to(asleep=3)
    send_control.pause_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)
    assert scenario.count_states("sms") == {"paused": 3}
    release_deferred_at(after_quiet_hours_ms())
    assert scenario.count_states("sms") == {"paused": 3}
    send_control.resume_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)
    assert scenario.count_states("sms") == {"ready": 3}
    LaneDriver().run_until_sent(1)
    assert scenario.count_states("sms") == {"deferred": 3}, "it is still night"
    send_control.cancel_send(send_id, None, now_ms())
    send_control.apply_to_deliveries(send_id, now_ms)
    assert scenario.count_states("sms") == {"canceled": 3}


def test_texts_created_during_a_pause_are_paused() -> None:
    lane_driver.create_many_accounts(2, "N", timezone=ASLEEP)
    send_id = send_creation.create_send("renewal", {"account_type": "N"}, {}, None, now_ms())
    send_control.pause_send(send_id, None, now_ms())
    fan_out.fan_out_send(send_id, now_ms)
    assert scenario.count_states("sms") == {"paused": 2}
    assert all(row.due_at_ms <= now_ms() for row in scenario.deliveries("sms"))


def test_released_texts_alternate_with_a_new_send() -> None:
    large = send_to(asleep=200)
    lane = LaneDriver(now_us=after_quiet_hours_ms() * 1000)
    lane_driver.create_many_accounts(20, "D", timezone=ASLEEP)
    ids = list(db.session.scalars(select(Account.id).where(Account.account_type == "D")))
    db.session.execute(update(Account).where(Account.id.in_(ids)).values(timezone=AWAKE))
    db.session.commit()
    small = scenario.create_expanded_send(audience={"account_type": "D"})
    release_deferred_at(after_quiet_hours_ms())
    lane.run_until_sent(60)
    assert lane.sent_send_ids[:60].count(small) == 20, "every second one, not behind two hundred"
    assert lane.sent_send_ids.count(large) >= 40


def test_send_with_a_deferred_text_is_not_done() -> None:
    send_id = send_to(asleep=1)
    scenario.run_email_worker()
    maintenance.expire_stale_leases(now_ms())
    assert db.session.get_one(Send, send_id).state == "sending"
    assert not progress.send_report(send_id, now_ms()).is_final


def test_forecast_counts_deferred_texts() -> None:
    lane_driver.create_many_accounts(10, "N", timezone=ASLEEP)
    plan = send_creation.plan_send("renewal", {"account_type": "N"}, {}, now_ms())
    assert plan.texts == 10
    assert plan.reasons == []
    assert plan.forecast
    assert plan.forecast.deferred == 10
    until = plan.forecast.last_text_at_ms
    assert until
    assert HOUR_MS - 60_000 < until - now_ms() < HOUR_MS + 60_000
    send_id = scenario.create_expanded_send(audience={"account_type": "N"})
    forecast = progress.send_report(send_id, now_ms()).forecast
    assert forecast
    assert (forecast.texts, forecast.deferred) == (10, 10)
    assert forecast.last_text_at_ms == pytest.approx(until, abs=5_000)


def test_deferred_texts_are_quarantined_after_a_restore() -> None:
    send_to(asleep=2)
    assert quarantine.quarantine_waiting_texts(servers.LIVE_CREDENTIALS["AccountSid"], now_ms()) == 2
    db.session.commit()
    assert scenario.count_states("sms") == {"unknown": 2}


def test_scheduler_releases_deferred_texts() -> None:
    send_to(asleep=1)
    restore_guard.check_for_restore(now_ms())
    db.session.execute(update(Delivery).where(Delivery.state == "deferred").values(due_at_ms=now_ms() - 1))
    db.session.commit()
    scenario.run_scheduler_once(now_ms)
    assert scenario.count_states("sms") == {"ready": 1}
