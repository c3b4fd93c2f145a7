"""The numbers of the dashboard on both databases: from totals, the ledger and the cache of older days."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.engine import Engine

from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery
from portal.messages.tables.delivery_totals import DeliveryTotal
from portal.monitoring.statistics import DAYS, load_statistics, renew_statistics
from portal.monitoring.tables import statistic_cache
from portal.monitoring.tables.statistic_cache import StatisticCache
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
ZONE = ZoneInfo("America/New_York")
NOW_MS = round(datetime(2026, 11, 28, 12, tzinfo=ZONE).timestamp() * 1000)
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
DAY_MS = 24 * HOUR_MS
TODAY = DAYS - 1


@pytest.fixture
def template(app: object) -> None:
    scenario.create_accounts(3, with_sms=2)
    scenario.add_template()


def add_totals(days_ago: float, state: str = "delivered", count: int = 1, channel: str = "sms", send: int = 0) -> None:
    """Messages made so many days before now."""
    hour = round(NOW_MS - days_ago * DAY_MS) // HOUR_MS
    key = {"send_id": send, "channel": channel, "hour": hour, "lane": 1, "kind": "notification", "reason": ""}
    with transaction() as session:
        session.add(DeliveryTotal(**key, state=state, shard=0, count=count, segments=2 * count))


def messages(now_ms: int = NOW_MS) -> dict[Any, int]:
    db.session.remove()
    return dict(load_statistics(now_ms, ZONE).messages)


def test_messages_belong_to_days_of_the_zone() -> None:
    """November 1 has 25 hours in New York. At noon, 12.2 hours ago was yesterday."""
    for days_ago in (0, 0.48, 0.52, 1.48, 26.48, 27.48, 27.52, 89.4, 89.7):
        add_totals(days_ago)
    assert messages() == {
        (TODAY, "sms", "delivered"): 2,
        (TODAY - 1, "sms", "delivered"): 2,
        (TODAY - 26, "sms", "delivered"): 1,
        (TODAY - 27, "sms", "delivered"): 2,
        (0, "sms", "delivered"): 1,
    }


def test_segments_belong_to_templates_and_months(template: None) -> None:
    send_id = scenario.create_expanded_send()
    with transaction() as session:
        session.execute(update(Delivery).values(state="canceled"))
    add_totals(0.1, "delivered", 5, send=send_id)
    add_totals(3, "undelivered", 2, send=send_id)
    add_totals(30, "accepted", 1)
    add_totals(0.2, "simulated", 9, send=send_id)
    add_totals(0.2, "handed_off", 9, "email", send=send_id)
    assert dict(load_statistics(NOW_MS, ZONE).segments) == {("Renewal", 2): 14, ("", 1): 2}


def test_events_of_the_ledger_are_counted_by_day() -> None:
    with transaction():
        for days_ago, kind in ((0, EventKind.STOP), (0, EventKind.START), (5, EventKind.START), (5, EventKind.HELP)):
            at_ms = NOW_MS - days_ago * DAY_MS
            record(scenario.phone_number(days_ago), kind, "handset", at_ms, at_ms, text=str(kind))
    assert dict(load_statistics(NOW_MS, ZONE).events) == {
        (TODAY, "stop"): 1,
        (TODAY, "start"): 1,
        (TODAY - 5, "start"): 1,
    }


def test_days_before_yesterday_come_from_the_cache_until_it_is_renewed() -> None:
    add_totals(5)
    assert messages() == {(TODAY - 5, "sms", "delivered"): 1}
    add_totals(5, "failed")
    add_totals(1, "failed")
    expected = {(TODAY - 5, "sms", "delivered"): 1, (TODAY - 1, "sms", "failed"): 1}
    assert messages() == expected
    renew_statistics(NOW_MS + 4 * MINUTE_MS)
    assert messages(NOW_MS + 4 * MINUTE_MS) == expected
    renew_statistics(NOW_MS + 6 * MINUTE_MS)
    assert messages(NOW_MS + 6 * MINUTE_MS) == expected | {(TODAY - 5, "sms", "failed"): 1}


def test_a_page_renews_the_cache_without_a_scheduler() -> None:
    add_totals(5)
    messages()
    add_totals(5, "failed")
    assert len(messages(NOW_MS + 21 * MINUTE_MS)) == 2


def test_the_cache_ends_with_its_day() -> None:
    add_totals(5)
    messages()
    assert messages(NOW_MS + 13 * HOUR_MS) == {(TODAY - 6, "sms", "delivered"): 1}
    assert db.session.scalars(select(StatisticCache.day)).all() == ["2026-11-29"]


def test_zones_that_nobody_looks_at_are_not_kept_up_to_date() -> None:
    messages()
    renew_statistics(NOW_MS + 3 * DAY_MS)
    assert db.session.scalars(select(StatisticCache.day)).all() == ["2026-11-28"]
    messages(NOW_MS + 3 * DAY_MS)
    renew_statistics(NOW_MS + 4 * DAY_MS)
    assert db.session.scalars(select(StatisticCache.day)).all() == ["2026-12-02"]


def test_zone_that_no_longer_exists_does_not_stop_the_others() -> None:
    messages()
    with transaction():
        statistic_cache.store_cache("Africa/Atlantis", "2026-11-28", {}, NOW_MS, NOW_MS)
    renew_statistics(NOW_MS + 6 * MINUTE_MS)
    db.session.rollback()
    renewed = dict(db.session.execute(select(StatisticCache.zone, StatisticCache.computed_at_ms)).all())
    assert renewed[ZONE.key] == NOW_MS + 6 * MINUTE_MS


def test_what_is_read_for_each_page_does_not_grow_with_the_past() -> None:
    """Each query about today and yesterday finds its rows by their hour."""
    if db.engine.name == "sqlite":
        with transaction() as session:
            rows = [{"send_id": n, "hour": NOW_MS // HOUR_MS - n % 2000} for n in range(20_000)]
            common = {"channel": "sms", "lane": 1, "kind": "notification", "state": "delivered", "reason": ""}
            session.execute(
                insert(DeliveryTotal),
                [row | common | {"shard": 0, "count": 1, "segments": 1} for row in rows],
            )
            session.connection().exec_driver_sql("ANALYZE")
        messages()
        plans = _plans_of(lambda: messages())
        totals = [step for step in plans if "delivery_total" in step]
        assert totals
        assert all("SEARCH delivery_total USING INDEX ix_delivery_total_hour" in step for step in totals)


def _plans_of(action: Any) -> list[str]:
    statements: list[tuple[str, Any]] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def keep(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    action()
    event.remove(Engine, "before_cursor_execute", keep)
    connection = db.session.connection()
    plans = (
        connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        for statement, parameters in statements
        if statement.startswith("SELECT")
    )
    return [str(row[3]) for plan in plans for row in plan]
