"""A template may set how long its texts are useful: later ones are not sent, and Twilio holds none for longer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from portal.content import message_templates
from portal.content.message_templates import TemplateDraft
from portal.content.tables.templates import find_template, find_template_version
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.messages.tables.communications import Delivery
from portal.messages.timeline import describe_state
from portal.sends import progress, send_creation
from tests.support import lane_driver, scenario, servers
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def gateway_and_templates(app: Flask) -> None:
    scenario.configure_gateway(rate=20)
    scenario.add_template("soon", sms_expiry_hours="1")
    scenario.add_template("any")
    maintenance.record_heartbeat("a worker", "worker:sms", scenario.now_ms() + HOUR_MS)


def send_to(total: int, key: str = "soon") -> int:
    lane_driver.create_many_accounts(total, "U")
    return scenario.create_expanded_send(key, {"account_type": "U"})


def validity_periods(simulator: servers.SimulatorClient) -> list[int]:
    return [
        text["validity_seconds"] for text in sorted(simulator.accepted_texts(), key=lambda text: text["accepted_at_ms"])
    ]


def test_validity_period_ends_when_the_text_expires(simulator: servers.SimulatorClient) -> None:
    send_to(1)
    scenario.run_sms_worker(clock_ahead_ms=HOUR_MS // 2)
    scenario.create_expanded_send("any", {"account_type": "U"})
    scenario.run_sms_worker()
    first, second = validity_periods(simulator)
    assert 1_700 < first <= 1_800
    assert second == 14_400


@pytest.mark.parametrize(("ahead_ms", "sent"), [(HOUR_MS - 60_000, 1), (HOUR_MS - 5_000, 0), (2 * HOUR_MS, 0)])
def test_expired_text_is_skipped_with_a_reason(ahead_ms: int, sent: int) -> None:
    send_to(1)
    lane = LaneDriver(now_us=(now_ms() + ahead_ms) * 1000)
    lane.run_until_sent(1)
    assert len(lane.sent_send_ids) == sent
    if not sent:
        (row,) = scenario.deliveries("sms")
        label, _tone, detail = describe_state(row)
        assert (row.state, label) == ("skipped", "Email only")
        assert detail == "The text expired before it could be sent."
        assert scenario.count_states("email") == {"ready": 1}, "the email is sent all the same"


def test_expired_text_is_not_retried() -> None:
    send_to(1)
    db.session.execute(update(Delivery).where(Delivery.channel == "sms").values(attempt_count=1))
    db.session.commit()
    lane = LaneDriver(now_us=(now_ms() + 2 * HOUR_MS) * 1000)
    lane.run_until_sent(1)
    assert scenario.count_states("sms") == {"skipped": 1}


def test_text_that_expires_during_quiet_hours_is_skipped(app: Flask) -> None:
    now = datetime.now(UTC)
    hours = f"{(now - timedelta(hours=1)).time()}-{(now + timedelta(hours=2)).time()}"
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours=hours)
    lane_driver.create_many_accounts(2, "U", timezone="Africa/Abidjan")
    scenario.create_expanded_send("soon", {"account_type": "U"})
    assert scenario.count_states("sms") == {"skipped": 2}
    assert {row.reason for row in scenario.deliveries("sms")} == {"expired"}
    plan = send_creation.plan_send("soon", {"account_type": "U"}, {}, now_ms())
    assert plan.texts == 0
    assert [(reason.value, count) for reason, count in plan.reasons] == [("expired", 2)]


def test_forecast_counts_texts_that_would_expire() -> None:
    scenario.configure_gateway(rate=0.5)
    lane_driver.create_many_accounts(2_000, "U")
    planned_ms = now_ms()
    plan = send_creation.plan_send("soon", {"account_type": "U"}, {}, planned_ms)
    assert plan.forecast
    assert not plan.forecast.is_late, "less than ten hours"
    assert plan.forecast.expired_count == pytest.approx(200, abs=2)
    assert plan.forecast.sms_expires_at_ms == planned_ms + HOUR_MS
    send_id = scenario.create_expanded_send("soon", {"account_type": "U"})
    forecast = progress.send_report(send_id, now_ms()).forecast
    assert forecast
    assert forecast.expired_count == pytest.approx(200, abs=20)
    plan = send_creation.plan_send("any", {"account_type": "U"}, {}, now_ms())
    assert plan.forecast
    assert (plan.forecast.expired_count, plan.forecast.sms_expires_at_ms) == (0, None)


@pytest.mark.one_engine
@pytest.mark.parametrize("hours", ["0", "-1", "1.5", "soon", "721", "9" * 400, "٣", "1e2", " 1 2 "])
def test_invalid_expiry_hours_are_rejected_at_the_field(hours: str) -> None:
    draft = TemplateDraft("late", "Late", "Subject", "Body", sms_expiry_hours=hours)
    with pytest.raises(InvalidInput) as error:
        message_templates.create_template(draft, None, now_ms())
    assert list(error.value.errors) == ["sms_expiry_hours"]
    assert find_template("late") is None


@pytest.mark.one_engine
def test_each_template_version_keeps_its_expiry_hours() -> None:
    template = find_template("soon")
    assert template
    message_templates.save_template(
        template.id, TemplateDraft("soon", "Soon", "S", "B", sms_expiry_hours=" 24 "), None, now_ms()
    )
    assert find_template_version(template).sms_expiry_hours == 24
    message_templates.save_template(template.id, TemplateDraft("soon", "Soon", "S", "B"), None, now_ms())
    assert find_template_version(template).sms_expiry_hours is None
