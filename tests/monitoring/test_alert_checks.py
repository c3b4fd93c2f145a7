"""Alerts start once and end once, by the judgments that pages and banners use."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select, update

from portal.accounts.tables.accounts import Account
from portal.core.coordination import Heartbeat
from portal.core.extensions import db
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.delivery.email_claim import server_address
from portal.delivery.maintenance import record_heartbeat
from portal.delivery.tables.mail_server import MailServer
from portal.messages.lane_control import pause_lane
from portal.messages.tables.communications import Delivery
from portal.monitoring.alert_checks import check_alerts
from portal.monitoring.conditions import current_conditions
from portal.monitoring.rules.alert_kinds import AlertKind, Condition
from portal.monitoring.tables.alerts import Alert, AlertNotice
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
MINUTE_MS = 60_000
NOW_MS = scenario.now_ms()
STUCK_SINCE_MS = NOW_MS - 11 * MINUTE_MS


@pytest.fixture(autouse=True)
def running_portal(app: Flask) -> None:
    """Texts are on, every process runs, and a system administrator reads emails."""
    scenario.configure_gateway()
    scenario.create_accounts(30, with_sms=30)
    with transaction() as session:
        session.execute(update(Account).where(Account.external_id == "P-0").values(role="sysadmin"))
    beat(NOW_MS + 10 * MINUTE_MS)


def beat(at_ms: int, *kinds: str) -> None:
    for kind in kinds or (*WORKER_QUEUE_LABELS, SCHEDULER):
        record_heartbeat(f"{kind}:host", kind, at_ms)


def change(statement: Any) -> None:
    with transaction() as session:
        session.execute(statement)


def stop_worker() -> None:
    change(delete(Heartbeat).where(Heartbeat.kind == "worker:sms"))


def silence_mail_server() -> None:
    with transaction():
        values = {"consecutive_failures": 20, "retry_at_ms": 0, "down_since_ms": NOW_MS, "last_error": "no"}
        upsert(MailServer, {"address": server_address(), **values}, ["address"])


def silence_provider() -> None:
    """With a text that waits."""
    make_texts_due(NOW_MS)
    values = {"number": servers.FROM_NUMBER, "down_since_ms": NOW_MS - MINUTE_MS}
    with transaction():
        upsert(SendingNumber, {"next_free_at_us": 0, "paused_reason": "", **values}, ["number"])


def pause_number() -> None:
    with transaction():
        values = {"number": servers.FROM_NUMBER, "paused_reason": "Wrong credentials", "next_free_at_us": 0}
        upsert(SendingNumber, values, ["number"])


def make_texts_due(due_at_ms: int = STUCK_SINCE_MS, channel: str = "sms") -> None:
    if not db.session.scalar(select(func.count()).select_from(Delivery)):
        scenario.add_template()
        scenario.create_expanded_send()
    change(update(Delivery).values(state="handed_off"))
    change(update(Delivery).where(Delivery.channel == channel).values(state="ready", due_at_ms=due_at_ms))


def let_texts_fail(failed: int = 2) -> None:
    """Of thirty."""
    make_texts_due()
    change(update(Delivery).where(Delivery.channel == "sms").values(state="delivered"))
    ids = select(Delivery.id).where(Delivery.channel == "sms").limit(failed)
    change(update(Delivery).where(Delivery.id.in_(ids.scalar_subquery())).values(state="undelivered"))


def use_budget() -> None:
    scenario.configure_gateway(AlertSegmentsPerDay="35")
    let_texts_fail(0)


def test_nothing_is_wrong_while_everything_runs() -> None:
    let_texts_fail(1)
    assert current_conditions(NOW_MS) == []


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (stop_worker, [Condition(AlertKind.PROCESS_MISSING, "worker:sms")]),
        (silence_mail_server, [Condition(AlertKind.MAIL_SERVER_AWAY)]),
        (silence_provider, [Condition(AlertKind.PROVIDER_AWAY, "Twilio")]),
        (pause_number, [Condition(AlertKind.SENDER_PAUSED)]),
        (lambda: pause_lane("sms", 1, None, NOW_MS), [Condition(AlertKind.LANES_PAUSED)]),
        (lambda: pause_lane("sms", 1, 1, NOW_MS), []),
        (make_texts_due, [Condition(AlertKind.LANE_STUCK, "sms bulk")]),
        (lambda: make_texts_due(channel="email"), [Condition(AlertKind.LANE_STUCK, "email bulk")]),
        (lambda: make_texts_due(NOW_MS - 9 * MINUTE_MS), []),
        (let_texts_fail, [Condition(AlertKind.FAILURE_RATE, "sms")]),
        (use_budget, [Condition(AlertKind.SEGMENT_BUDGET, "80")]),
    ],
)
def test_condition_is_found(cause: Callable[[], None], expected: list[Condition]) -> None:
    cause()
    assert current_conditions(NOW_MS) == expected


@pytest.mark.parametrize("cause", [stop_worker, silence_provider, pause_number])
def test_a_lane_with_a_known_cause_is_not_called_stuck(cause: Callable[[], None]) -> None:
    cause()
    make_texts_due()
    assert [condition.kind for condition in current_conditions(NOW_MS)] not in ([], [AlertKind.LANE_STUCK])
    assert AlertKind.LANE_STUCK not in {condition.kind for condition in current_conditions(NOW_MS)}


def test_a_lane_in_which_something_is_tried_is_not_stuck() -> None:
    """A long send has texts that have been due for hours."""
    make_texts_due()
    scenario.run_sms_worker(seconds=0.1, until=scenario.attempts_recorded(1))
    beat(scenario.now_ms())
    assert [condition.kind for condition in current_conditions(scenario.now_ms())] == []


def alert_times() -> list[tuple[str, int | None, int | None]]:
    """Kind, and minutes after `NOW_MS` at which it was announced and ended."""
    db.session.rollback()
    query = select(Alert.kind, Alert.announced_at_ms, Alert.ended_at_ms).order_by(Alert.id)
    return [(kind, _minutes(announced), _minutes(ended)) for kind, announced, ended in db.session.execute(query)]


def _minutes(at_ms: int | None) -> int | None:
    return None if at_ms is None else (at_ms - NOW_MS) // MINUTE_MS


def notices() -> list[tuple[str, str]]:
    query = select(AlertNotice.event, AlertNotice.route).order_by(AlertNotice.alert_id, AlertNotice.event.desc())
    return [(event, route) for event, route in db.session.execute(query)]


def check_at(minute: int) -> None:
    db.session.remove()
    check_alerts(NOW_MS + minute * MINUTE_MS)


def test_alert_is_announced_by_the_second_check_and_ends_once() -> None:
    stop_worker()
    check_at(0)
    assert (alert_times(), notices()) == ([("process_missing", None, None)], [])
    for minute in (1, 2, 3):
        check_at(minute)
    assert (alert_times(), notices()) == ([("process_missing", 1, None)], [("started", "email")])
    beat(NOW_MS + 10 * MINUTE_MS, "worker:sms")
    for minute in (4, 8):
        check_at(minute)
    assert (alert_times(), notices()) == ([("process_missing", 1, None)], [("started", "email")])
    for minute in (9, 10):
        check_at(minute)
    assert (alert_times(), notices()) == ([("process_missing", 1, 4)], [("started", "email"), ("ended", "email")])


def test_what_comes_and_goes_is_one_alert() -> None:
    for minute in range(0, 12, 4):
        stop_worker()
        check_at(minute)
        check_at(minute + 1)
        beat(NOW_MS + 30 * MINUTE_MS)
        check_at(minute + 2)
        check_at(minute + 3)
    assert (alert_times(), notices()) == ([("process_missing", 1, None)], [("started", "email")])
    check_at(15)
    assert alert_times() == [("process_missing", 1, 10)]


def test_used_budget_ends_clearly_below_its_step() -> None:
    use_budget()
    check_at(0)
    assert alert_times() == [("segment_budget", 0, None)]
    for budget, ended in (("46", None), ("47", 2)):
        scenario.configure_gateway(AlertSegmentsPerDay=budget)
        check_at(1 if ended is None else 2)
        assert alert_times() == [("segment_budget", 0, ended)]


def test_what_passes_within_a_minute_is_no_alert() -> None:
    stop_worker()
    check_at(0)
    beat(NOW_MS + 10 * MINUTE_MS, "worker:sms")
    check_at(1)
    assert (alert_times(), notices()) == ([], [])


def test_failure_rate_is_announced_at_once_and_ends_clearly_below_the_limit() -> None:
    scenario.configure_gateway(AlertFailurePercent="6")
    let_texts_fail(2)
    check_at(0)
    assert alert_times() == [("failure_rate", 0, None)]
    scenario.configure_gateway(AlertFailurePercent="7")
    check_at(1)
    assert alert_times() == [("failure_rate", 0, None)]
    scenario.configure_gateway(AlertFailurePercent="9")
    check_at(2)
    assert alert_times() == [("failure_rate", 0, 2)]


def test_the_same_trouble_later_is_another_alert() -> None:
    for minute in (0, 10):
        stop_worker()
        check_at(minute)
        check_at(minute + 1)
        beat(NOW_MS + 30 * MINUTE_MS)
        check_at(minute + 2)
        check_at(minute + 7)
    assert alert_times() == [("process_missing", 1, 2), ("process_missing", 11, 12)]


def test_webhook_is_told_too_if_it_is_set() -> None:
    webhook = '{"Url": "https://example.org/alerts", "Secret": "sixteen letters."}'
    scenario.configure_gateway(AlertWebhook=webhook)
    stop_worker()
    check_at(0)
    check_at(1)
    assert notices() == [("started", "email"), ("started", "webhook")]


def test_two_schedulers_make_one_alert(app: Flask) -> None:
    stop_worker()
    for minute in (0, 1, 2):
        _check_twice_at_once(app, NOW_MS + minute * MINUTE_MS)
    assert (alert_times(), notices()) == ([("process_missing", 1, None)], [("started", "email")])
    beat(NOW_MS + 10 * MINUTE_MS, "worker:sms")
    for minute in (3, 8):
        _check_twice_at_once(app, NOW_MS + minute * MINUTE_MS)
    assert (alert_times(), notices()) == ([("process_missing", 1, 3)], [("started", "email"), ("ended", "email")])


def _check_twice_at_once(app: Flask, now_ms: int) -> None:
    barrier, errors = Barrier(2), list[BaseException]()

    def check() -> None:
        with app.app_context():
            try:
                barrier.wait()
                check_alerts(now_ms)
            except BaseException as error:
                errors.append(error)
            finally:
                db.session.remove()

    threads = [Thread(target=check) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
