"""People with dates, and schedules that depend on them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute, AttributeValue
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.schedules.rules.schedule_states import NOBODY, RunState, ScheduleState
from portal.schedules.schedule_changes import create_schedule
from portal.schedules.schedule_validation import ScheduleDraft
from portal.schedules.tables.person_dates import find_date_attribute
from portal.schedules.tables.runs import ScheduleRun, add_run, latest_runs
from portal.schedules.tables.schedules import Schedule
from portal.sends.tables.schedule_recipients import ScheduleRecipient
from portal.sends.tables.sends import Send
from tests.support import scenario

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def at_ms(text: str) -> int:
    """Such as 2027-01-31T09:00, UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def add_date_attribute(key: str = "expires_on") -> int:
    with transaction() as session:
        attribute = Attribute(key=key, label="Expires on", kind="date", choices=[], created_at_ms=0)
        session.add(attribute)
        session.flush()
        return attribute.id


def add_person(external_id: str, zone: str = "UTC", **columns: Any) -> int:
    with transaction() as session:
        values = {"name": external_id, "email": f"{external_id}@example.org", "account_type": "Practitioner"}
        values |= {"fs_uniquifier": external_id, **columns}
        account = Account(external_id=external_id, timezone=zone, created_at_ms=0, **values)
        session.add(account)
        session.flush()
        return account.id


def set_date(account_id: int, day: date | str, attribute_id: int = 1) -> None:
    text = str(day)
    with transaction() as session:
        session.execute(delete(AttributeValue).where(*_key(account_id, attribute_id)))
        session.add(AttributeValue(account_id=account_id, attribute_id=attribute_id, value=text, comparable=text))


def _key(account_id: int, attribute_id: int) -> tuple[ColumnElement[bool], ...]:
    return AttributeValue.account_id == account_id, AttributeValue.attribute_id == attribute_id


def draft(kind: str, timing: dict[str, Any], **changes: Any) -> ScheduleDraft:
    values: dict[str, Any] = {
        "name": "Reminder",
        "template_key": "renewal",
        "audience": {"all": True},
        "data": {},
        "late_hours": 24,
    }
    return ScheduleDraft(kind=kind, timing=timing, **values | changes)


def add_once(day: str, now_ms: int, **changes: Any) -> int:
    timing = {"starts_on": day, "time": "09:00", "zone": "UTC"}
    return create_schedule(draft("once", timing, **changes), None, now_ms)


def add_daily(first: str, now_ms: int, **changes: Any) -> int:
    timing = {"starts_on": first, "time": "09:00", "zone": "UTC", "repeat": "daily", "ends": "never"}
    return create_schedule(draft("recurring", timing, **changes), None, now_ms)


def add_relative(offsets: str, now_ms: int, time: str = "09:00", **changes: Any) -> int:
    timing = {"attribute": "expires_on", "offsets": offsets, "time": time}
    return create_schedule(draft("relative", timing, **changes), None, now_ms)


def run_states(schedule_id: int) -> list[tuple[str, str]]:
    """Keys and states, by the time at which they were due."""
    db.session.rollback()
    return [(run.key, run.state) for run in reversed(latest_runs(schedule_id, 1_000))]


def sends() -> Sequence[Send]:
    db.session.rollback()
    return db.session.scalars(select(Send).order_by(Send.id)).all()


def occasions_of(account_id: int) -> list[tuple[int, str, int]]:
    """What a person got: offset, date, and when the send of that run was made."""
    db.session.rollback()
    query = (
        select(ScheduleRecipient.offset_days, ScheduleRecipient.date, Send.created_at_ms)
        .join(ScheduleRun, ScheduleRun.id == ScheduleRecipient.run_id)
        .join(Send, Send.id == ScheduleRun.send_id)
        .where(ScheduleRecipient.account_id == account_id)
        .order_by(Send.created_at_ms)
    )
    return [(offset, day, created_at_ms) for offset, day, created_at_ms in db.session.execute(query)]


def add_schedules_for_pages(template_key: str, now_ms: int) -> None:
    """One in each state, with runs in each state; the first has a next run. Leaves no audit entries."""
    day = datetime.fromtimestamp(now_ms / 1000, UTC).date() + timedelta(days=3)
    attribute = find_date_attribute("expires_on")
    set_date(1, day + timedelta(days=60), attribute.id if attribute else add_date_attribute())
    first = add_daily(str(day), now_ms, template_key=template_key)
    add_relative("60, 30, 7", now_ms, template_key=template_key)
    paused, ended = (add_once(str(day), now_ms, template_key=template_key) for _ in range(2))
    with transaction() as session:
        for number, state in enumerate((RunState.SENT, RunState.EMPTY, RunState.FAILED, RunState.MISSED)):
            run = add_run(first, f"2026-01-0{number + 1}", now_ms - number * HOUR_MS, state, now_ms)
            run.reason = "" if state == RunState.SENT else NOBODY
            run.send_id = 1 if state == RunState.SENT else None
        session.get_one(Schedule, paused).state = ScheduleState.PAUSED
        session.get_one(Schedule, ended).state = ScheduleState.ENDED
    scenario.forget_audit_entries(AuditEntry.action.startswith("schedule"))
