"""Queries for the dashboard: what is under way, what comes next, and what waits for a person."""

from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.orm import joinedload

from portal.accounts.tables.accounts import Account
from portal.consent.tables.import_tasks import ImportTask, ImportTaskState
from portal.content.tables.saved_drafts import SavedDraft
from portal.content.tables.templates import Template, TemplateVersion
from portal.core.extensions import db
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.rules.timing import ScheduleKind
from portal.schedules.tables.schedules import Schedule
from portal.sends.tables.recipient_files import RecipientFile, RecipientFileState
from portal.sends.tables.sends import ACTIVE_STATES, Send

_ROLES_OF_STAFF = ("admin", "sysadmin")


@dataclass(frozen=True)
class WorkCounts:
    """The drafts of templates, the active schedules on dates of people, and what a new installation has already."""

    drafts: int
    schedules_on_dates: int
    has_people: bool
    has_templates: bool
    has_sends: bool


def newest_active_sends(limit: int) -> list[Send]:
    """With their templates."""
    query = select(Send).options(joinedload(Send.version).joinedload(TemplateVersion.template))
    query = query.where(Send.state.in_(ACTIVE_STATES))
    query = query.order_by((Send.id + 0).desc())  # an expression, or SQLite reads all sends in the order of the key
    return list(db.session.scalars(query.limit(limit)))


def next_schedules(limit: int) -> list[Schedule]:
    """Active ones on fixed times, the next first; those on dates of people have no time in common."""
    active = (Schedule.state == ScheduleState.ACTIVE, Schedule.next_check_at_ms.is_not(None))
    query = select(Schedule).where(*active, Schedule.kind != ScheduleKind.RELATIVE)
    return list(db.session.scalars(query.order_by(Schedule.next_check_at_ms).limit(limit)))


def imports_to_look_at(since_ms: int, limit: int) -> list[ImportTask]:
    """Imports that wait for a confirmation, or that changed nothing; newest first."""
    states = (ImportTaskState.CHECKED, ImportTaskState.REFUSED, ImportTaskState.FAILED)
    query = select(ImportTask).where(ImportTask.state.in_(states), ImportTask.created_at_ms >= since_ms)
    return list(db.session.scalars(query.order_by(ImportTask.id.desc()).limit(limit)))


def files_with_errors(since_ms: int, limit: int) -> list[RecipientFile]:
    """Recipient files that cannot be used, or whose bad rows have not been corrected or left out yet; newest first."""
    checked = (RecipientFile.state == RecipientFileState.CHECKED) & (RecipientFile.bad_rows > 0)
    unusable = RecipientFile.state.in_((RecipientFileState.REFUSED, RecipientFileState.FAILED))
    query = select(RecipientFile).where(checked | unusable, RecipientFile.send_id.is_(None))
    query = query.where(RecipientFile.created_at_ms >= since_ms)
    return list(db.session.scalars(query.order_by(RecipientFile.id.desc()).limit(limit)))


def work_counts() -> WorkCounts:
    """In one query."""
    drafts = select(func.count()).select_from(SavedDraft).scalar_subquery()
    on_dates = select(func.count()).select_from(Schedule)
    on_dates = on_dates.where(Schedule.state == ScheduleState.ACTIVE, Schedule.kind == ScheduleKind.RELATIVE)
    people = exists().where(Account.role.not_in(_ROLES_OF_STAFF))
    query = select(drafts, on_dates.scalar_subquery(), people, exists(select(Template.id)), exists(select(Send.id)))
    drafts_count, dates_count, *flags = db.session.execute(query).one()
    return WorkCounts(drafts_count, dates_count, *map(bool, flags))
