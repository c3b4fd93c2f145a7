"""What a forecast says with quiet hours and the frequency cap is what happens, over the day on which clocks change."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.delivery import maintenance
from portal.sends import deferred_texts, progress, send_creation
from tests.support import lane_driver, scenario
from tests.support.lane_driver import LaneDriver

pytestmark = pytest.mark.usefixtures("app")
AREA_CODES = ("212", "312", "214", "303", "415")
"""Eastern, Central, Texas, Mountain and Pacific: at 21:00 in New York, only in the last two it is still day."""
AFTERNOON, EVENING = datetime(2027, 3, 13, 22, 30, tzinfo=UTC), datetime(2027, 3, 14, 2, 0, tzinfo=UTC)
MORNINGS = [datetime(2027, 3, 14, hour, tzinfo=UTC) for hour in (12, 13, 17)]
"""8:00 in New York and in Chicago, and noon in Dallas, on the Sunday on which clocks go forward."""


@pytest.fixture
def app(app: Flask) -> Flask:
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours="20:00-08:00", frequency_cap="3")
    return app


def create_people(total: int, prefix: str) -> None:
    lane_driver.create_many_accounts(total, prefix)
    is_new = Account.account_type == prefix
    numbers = select(PhoneNumber.id).join(PhoneNumber.account).where(is_new).order_by(PhoneNumber.id)
    for index, phone_id in enumerate(list(db.session.scalars(numbers))):
        number = f"+1{AREA_CODES[index % len(AREA_CODES)]}{2_000_000 + phone_id}"
        db.session.execute(update(PhoneNumber).where(PhoneNumber.id == phone_id).values(number=number))
    db.session.commit()


def us(at: datetime) -> int:
    return round(at.timestamp()) * 1_000_000


@pytest.fixture
def texted_in_the_afternoon(app: Flask) -> None:
    """Thirty people have had three texts, a hundred and twenty others none."""
    with time_machine.travel(AFTERNOON, tick=False):
        scenario.configure_gateway(rate=100)
        scenario.add_template()
        create_people(30, "P")
        for _ in range(3):
            scenario.create_expanded_send(audience={"account_type": "P"})
        lane = LaneDriver()
        lane.run_until_sent(90)
        lane.claim_once()
        create_people(120, "N")


@pytest.mark.usefixtures("texted_in_the_afternoon")
def test_forecast_with_both_limits_comes_true() -> None:
    with time_machine.travel(EVENING, tick=False):
        scenario.configure_gateway(rate=0.1)
        maintenance.record_heartbeat("a worker", "worker:sms", scenario.now_ms() + 3_600_000)
        plan = send_creation.plan_send("renewal", {"all": True}, {}, scenario.now_ms())
        send_id = scenario.create_expanded_send()
        running = progress.send_report(send_id, scenario.now_ms()).forecast
        lane = LaneDriver(now_us=us(EVENING))
        lane.run_idle(700)
        for morning in MORNINGS:
            lane.now_us = us(morning)
            deferred_texts.release_deferred(lane.now_ms)
            lane.run_idle(400)
    assert plan.forecast
    assert running
    assert (plan.texts, plan.reasons) == (120, [(Reason.FREQUENCY_CAP, 30)])
    assert (plan.forecast.texts, plan.forecast.deferred, running.texts) == (120, 72, 120)
    assert plan.deferred_until_ms == us(MORNINGS[0]) // 1000
    assert lane.sent_send_ids == [send_id] * 120
    skipped = [row for row in scenario.deliveries("sms") if row.state == "skipped"]
    assert [row.reason for row in skipped] == [Reason.FREQUENCY_CAP] * 30
    seconds = (lane.slots_us[-1] - us(EVENING)) / 1_000_000
    for forecast in (plan.forecast, running):
        assert forecast.last_text_at_ms
        assert (forecast.last_text_at_ms - us(EVENING) // 1000) / 1000 == pytest.approx(seconds, rel=0.05)
        assert forecast.last_text_at_ms == pytest.approx(lane.slots_us[-1] // 1000, abs=60_000)
