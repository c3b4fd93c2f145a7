"""Alerts, each with a start and an end, and the notices about them that somebody must get (ADR 47)."""

from collections.abc import Sequence

from sqlalchemy import ForeignKey, Index, Text, Update, delete, select, text, update
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing, updated_count
from portal.monitoring.rules.alert_kinds import Condition

STARTED, ENDED = "started", "ended"
EMAIL, WEBHOOK_ROUTE = "email", "webhook"
_IS_OPEN = text("ended_at_ms IS NULL")
_OPEN_INDEX = Index("uq_alert_open", "kind", "subject", unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN)


class Alert(Base):
    """`kind` is an `AlertKind`. Before `announced_at_ms`, nobody knows of it: it may pass by itself.

    `passed_at_ms` is when it was no longer seen; it ends if it does not come back for a while. At most one alert of a
    kind and subject is open, whoever looks.
    """

    __tablename__ = "alert"
    __table_args__ = (_OPEN_INDEX, STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    started_at_ms: Mapped[int] = mapped_column(Millis)
    announced_at_ms: Mapped[int | None] = mapped_column(Millis)
    passed_at_ms: Mapped[int | None] = mapped_column(Millis)
    ended_at_ms: Mapped[int | None] = mapped_column(Millis)

    notices: Mapped[list["AlertNotice"]] = relationship(order_by="AlertNotice.event.desc()", viewonly=True)


class AlertNotice(Base):
    """One email or call of the webhook. `account_id` is who gets the email; 0 for the webhook.

    `due_at_ms` is when to try (again); null once it is over: accepted at `sent_at_ms`, or given up with a `problem`.
    """

    __tablename__ = "alert_notice"
    __table_args__ = (
        Index(
            "ix_alert_notice_due",
            "due_at_ms",
            sqlite_where=text("due_at_ms IS NOT NULL"),
            postgresql_where=text("due_at_ms IS NOT NULL"),
        ),
        STRICT,
    )

    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"), primary_key=True)
    event: Mapped[str] = mapped_column(Text, primary_key=True)
    route: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigIntKey, primary_key=True, autoincrement=False)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at_ms: Mapped[int | None] = mapped_column(Millis)
    sent_at_ms: Mapped[int | None] = mapped_column(Millis)
    problem: Mapped[str] = mapped_column(Text, default="")

    alert: Mapped[Alert] = relationship(viewonly=True)


def open_alerts() -> list[Alert]:
    """Oldest first, with those that are not announced yet."""
    query = select(Alert).where(_IS_OPEN).order_by(Alert.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def announced_open_alerts() -> list[Alert]:
    return [alert for alert in open_alerts() if alert.announced_at_ms is not None]


def ended_alerts(before_id: int | None, limit: int) -> list[Alert]:
    """Newest first, with their notices."""
    query = select(Alert).options(selectinload(Alert.notices)).where(Alert.ended_at_ms.is_not(None))
    query = query.order_by(Alert.id.desc())
    if before_id is not None:
        query = query.where(Alert.id < before_id)
    return list(db.session.scalars(query.limit(limit)))


def add_alerts(conditions: Sequence[Condition], now_ms: int) -> None:
    """Those of which none is open yet."""
    rows = [{"kind": row.kind.value, "subject": row.subject, "started_at_ms": now_ms} for row in conditions]
    insert_missing(Alert, rows, ["kind", "subject"], where=_IS_OPEN)


def announce(alert_id: int, now_ms: int) -> bool:
    """False if somebody has done it meanwhile."""
    query = update(Alert).where(Alert.id == alert_id, Alert.announced_at_ms.is_(None), _IS_OPEN)
    return updated_count(query.values(announced_at_ms=now_ms)) > 0


def mark_passed(alert_id: int, passed_at_ms: int | None) -> None:
    """None if it has come back."""
    updated_count(update(Alert).where(Alert.id == alert_id, _IS_OPEN).values(passed_at_ms=passed_at_ms))


def end_alert(alert_id: int, now_ms: int) -> bool:
    """False if somebody has done it meanwhile."""
    query = update(Alert).where(Alert.id == alert_id, Alert.announced_at_ms.is_not(None), _IS_OPEN)
    return updated_count(query.values(ended_at_ms=now_ms)) > 0


def forget_unannounced(alert_ids: Sequence[int]) -> None:
    query = delete(Alert).where(Alert.id.in_(alert_ids), Alert.announced_at_ms.is_(None), _IS_OPEN)
    db.session.execute(query.execution_options(synchronize_session=False))


def add_notices(alert_id: int, event: str, recipients: Sequence[tuple[str, int]], now_ms: int) -> None:
    """`recipients` are routes and account ids."""
    rows = [
        {"alert_id": alert_id, "event": event, "route": route, "account_id": account_id, "due_at_ms": now_ms}
        for route, account_id in recipients
    ]
    values = {"attempts": 0, "problem": ""}
    insert_missing(AlertNotice, [row | values for row in rows], ["alert_id", "event", "route", "account_id"])


def due_notices(now_ms: int, limit: int) -> list[AlertNotice]:
    query = select(AlertNotice).where(AlertNotice.due_at_ms <= now_ms).order_by(AlertNotice.due_at_ms)
    return list(db.session.scalars(query.limit(limit).execution_options(populate_existing=True)))


def claim_notice(notice: AlertNotice, next_try_ms: int | None) -> bool:
    """Count an attempt before it is made. False if another process makes it."""
    query = _update_notice(notice).where(AlertNotice.attempts == notice.attempts)
    return updated_count(query.values(attempts=notice.attempts + 1, due_at_ms=next_try_ms)) > 0


def record_notice(notice: AlertNotice, sent_at_ms: int | None, problem: str) -> None:
    changes = (
        {"problem": problem} if sent_at_ms is None else {"sent_at_ms": sent_at_ms, "due_at_ms": None, "problem": ""}
    )
    updated_count(_update_notice(notice).values(**changes))


def _update_notice(notice: AlertNotice) -> Update:
    key = (AlertNotice.alert_id == notice.alert_id, AlertNotice.event == notice.event)
    return update(AlertNotice).where(
        *key, AlertNotice.route == notice.route, AlertNotice.account_id == notice.account_id
    )


def sysadmin_ids() -> list[int]:
    query = select(Account.id).where(Account.role == "sysadmin", Account.active == True)  # noqa: E712  SQL, not Python
    return list(db.session.scalars(query.order_by(Account.id)))
