"""The outbox of what Twilio is told: a row for each STOP and START of the ledger, written with it (ADR 53)."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, bindparam, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.consent.rules.consent_state import EventKind, EventSource
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import in_list, insert_missing, updated_count_many
from portal.settings.rules.app_config import REPORT_CONSENT
from portal.settings.tables.setting_values import stored_settings

_REPORTED_KINDS = (EventKind.STOP, EventKind.START)


class ReportState(StrEnum):
    """A later event has replaced what a superseded one says; Twilio has refused a refused one for good."""

    WAITING = "waiting"
    TOLD = "told"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


_IS_WAITING = text("state = 'waiting'")


class ConsentReport(Base):
    """`tries` failed so far, the last with `error`, in words; the next is due at `next_try_at_ms`."""

    __tablename__ = "consent_report"
    __table_args__ = (
        Index(
            "ix_consent_report_waiting",
            "next_try_at_ms",
            "event_id",
            sqlite_where=_IS_WAITING,
            postgresql_where=_IS_WAITING,
        ),
        Index("ix_consent_report_state", "state", "event_id"),
        STRICT,
    )

    event_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("consent_event.id"), primary_key=True)
    state: Mapped[str] = mapped_column(Text, default=ReportState.WAITING)
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at_ms: Mapped[int] = mapped_column(Millis)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    ended_at_ms: Mapped[int | None] = mapped_column(Millis)
    error: Mapped[str] = mapped_column(Text, default="")


def add_reports(events: Sequence[dict[str, Any]]) -> None:
    """For events that are being added to the ledger, in the same transaction, if Twilio is to be told."""
    told = [event for event in events if is_reported(event["kind"], event["source"])]
    if told and is_reporting():
        insert_missing(ConsentReport, [_row(event) for event in told], ["event_id"])


def is_reported(kind: str, source: str) -> bool:
    """What Twilio has told us, it knows. An opt-in on paper is not told: it could lift a block of Twilio's own."""
    return kind in _REPORTED_KINDS and source != EventSource.TWILIO


def is_reporting() -> bool:
    setting = stored_settings(REPORT_CONSENT).get(REPORT_CONSENT)
    return setting is not None and setting.value == "true"


def _row(event: dict[str, Any]) -> dict[str, Any]:
    at_ms = event["recorded_at_ms"]
    times = {"next_try_at_ms": at_ms, "created_at_ms": at_ms}
    return {"event_id": event["id"], "state": ReportState.WAITING, "tries": 0, "error": "", **times}


def end_reports(event_ids: Collection[int], state: ReportState, now_ms: int, error: str = "") -> None:
    """Those that have ended already stay as they are."""
    _change_waiting([{"id": id, "state": state, "ended_at_ms": now_ms, "error": error} for id in event_ids])


def delay_reports(tries: Collection[tuple[int, int, int]], error: str) -> None:
    """Each is an event, how often it has been tried, and when it is due again."""
    _change_waiting([{"id": id, "tries": count, "next_try_at_ms": at_ms, "error": error} for id, count, at_ms in tries])


def _change_waiting(rows: Sequence[dict[str, Any]]) -> None:
    is_waiting = ConsentReport.state == ReportState.WAITING
    query = update(ConsentReport.__table__).where(ConsentReport.event_id == bindparam("id"), is_waiting)  # type: ignore[arg-type]
    values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "id"} if rows else {}
    updated_count_many(query.values(values), rows)


def try_refused_again(now_ms: int) -> int:
    """Return how many there were."""
    is_refused = ConsentReport.state == ReportState.REFUSED
    ids = list(db.session.scalars(select(ConsentReport.event_id).where(is_refused)))
    values = {"state": ReportState.WAITING, "ended_at_ms": None, "error": "", "tries": 0, "next_try_at_ms": now_ms}
    db.session.execute(update(ConsentReport).where(in_list(ConsentReport.event_id, ids)).values(**values))
    return len(ids)


def waiting_since_ms() -> int | None:
    """When the oldest that waits was written; None if none does."""
    return db.session.scalar(
        select(func.min(ConsentReport.created_at_ms)).where(ConsentReport.state == ReportState.WAITING)
    )


def counts_by_state() -> dict[str, int]:
    query = select(ConsentReport.state, func.count()).group_by(ConsentReport.state)
    return {state: count for state, count in db.session.execute(query)}


def errors_of(states: Sequence[ReportState], limit: int) -> dict[str, int]:
    """Each error with how many have it, the commonest first."""
    count = func.count()
    query = select(ConsentReport.error, count).where(ConsentReport.state.in_(states), ConsentReport.error != "")
    rows = db.session.execute(query.group_by(ConsentReport.error).order_by(count.desc()).limit(limit))
    return {error: number for error, number in rows}
