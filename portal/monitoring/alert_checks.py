"""Start and end alerts. Two schedulers may do it at once: each alert starts once and ends once (ADR 47)."""

from collections.abc import Collection, Sequence

from portal.core import audit_log
from portal.core.transaction import transaction
from portal.monitoring.conditions import current_conditions
from portal.monitoring.rules.alert_kinds import AlertKind, Condition, known_kind
from portal.monitoring.tables import alerts
from portal.monitoring.tables.alerts import EMAIL, ENDED, STARTED, WEBHOOK_ROUTE, Alert
from portal.settings.app_settings import configuration
from portal.settings.rules.webhook_setting import WEBHOOK


def check_alerts(now_ms: int) -> None:
    known = frozenset(filter(None, map(_condition_of, alerts.announced_open_alerts())))
    conditions = current_conditions(now_ms, known)
    if not conditions and not alerts.open_alerts():
        return
    recipients = _recipients()
    with transaction():
        alerts.add_alerts(conditions, now_ms)
        _update_open_alerts(set(conditions), recipients, now_ms)


def _update_open_alerts(conditions: Collection[Condition], recipients: Sequence[tuple[str, int]], now_ms: int) -> None:
    passed: list[int] = []
    for alert in alerts.open_alerts():
        condition, is_announced = _condition_of(alert), alert.announced_at_ms is not None
        if condition in conditions:
            if alert.passed_at_ms is not None:
                alerts.mark_passed(alert.id, None)
            lasted_ms = now_ms - alert.started_at_ms
            is_confirmed = condition is not None and lasted_ms >= condition.kind.confirm_ms
            if is_confirmed and not is_announced and alerts.announce(alert.id, now_ms):
                alerts.add_notices(alert.id, STARTED, recipients, now_ms)
        elif is_announced:
            _end_if_gone(alert, condition, recipients, now_ms)
        else:
            passed.append(alert.id)
    alerts.forget_unannounced(passed)


def _end_if_gone(alert: Alert, condition: Condition | None, recipients: Sequence[tuple[str, int]], now_ms: int) -> None:
    """It ended when it was first gone."""
    passed_at_ms = now_ms if alert.passed_at_ms is None else alert.passed_at_ms
    if now_ms - passed_at_ms < (condition.kind.quiet_ms if condition else 0):
        if alert.passed_at_ms is None:
            alerts.mark_passed(alert.id, now_ms)
    elif alerts.end_alert(alert.id, passed_at_ms):
        alerts.add_notices(alert.id, ENDED, recipients, now_ms)


def send_test_alert(actor_id: int, now_ms: int) -> None:
    """An alert that starts and ends at once, and goes where every other would go."""
    recipients = _recipients()
    with transaction() as session:
        alert = Alert(kind=AlertKind.TEST, subject="")
        alert.started_at_ms = alert.announced_at_ms = alert.ended_at_ms = now_ms
        session.add(alert)
        session.flush()
        alerts.add_notices(alert.id, STARTED, recipients, now_ms)
        audit_log.record_audit_entry("alert_tested", "alerts", actor_id, now_ms)


def _recipients() -> list[tuple[str, int]]:
    """Routes and account ids."""
    webhook = configuration(WEBHOOK).json_object(WEBHOOK)
    emails = [(EMAIL, account_id) for account_id in alerts.sysadmin_ids()]
    return [*emails, (WEBHOOK_ROUTE, 0)] if webhook else emails


def _condition_of(alert: Alert) -> Condition | None:
    """None for an unknown kind: its alert ends, because nothing here can confirm it."""
    kind = known_kind(alert.kind)
    return Condition(kind, alert.subject) if kind else None
