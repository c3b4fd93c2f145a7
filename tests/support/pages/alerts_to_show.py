"""Alerts of every kind, for tests that visit every page."""

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.monitoring.rules.alert_kinds import AlertKind
from portal.monitoring.tables.alerts import EMAIL, ENDED, STARTED, WEBHOOK_ROUTE, Alert, AlertNotice

_SUBJECTS = {
    AlertKind.FAILURE_RATE: "sms",
    AlertKind.SEGMENT_BUDGET: "100",
    AlertKind.LANE_STUCK: "sms urgent",
    AlertKind.PROCESS_MISSING: "worker:email",
    AlertKind.PROVIDER_AWAY: "Twilio",
}


def add_alerts_to_show() -> None:
    """One of each kind that is open, one of them gone for now; and one that has ended, which the webhook was not told.

    Inside a transaction.
    """
    at_ms = now_ms() - 60_000
    for kind in AlertKind:
        alert = Alert(kind=kind, subject=_SUBJECTS.get(kind, ""), started_at_ms=at_ms, announced_at_ms=at_ms)
        alert.passed_at_ms = at_ms if kind is AlertKind.QUEUE_AWAY else None
        db.session.add(alert)
    ended = Alert(kind=AlertKind.PROCESS_MISSING, subject="scheduler", started_at_ms=at_ms, announced_at_ms=at_ms)
    ended.ended_at_ms = at_ms + 30_000
    db.session.add(ended)
    db.session.flush()
    db.session.add_all(
        [
            AlertNotice(alert_id=1, event=STARTED, route=EMAIL, account_id=6, attempts=1, sent_at_ms=at_ms),
            AlertNotice(alert_id=ended.id, event=ENDED, route=EMAIL, account_id=6, attempts=1, sent_at_ms=at_ms),
            AlertNotice(
                alert_id=ended.id,
                event=ENDED,
                route=WEBHOOK_ROUTE,
                account_id=0,
                attempts=12,
                problem="It did not answer in time.",
            ),
        ]
    )
