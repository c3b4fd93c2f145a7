"""A schedule of the demo: reminders before the dates of its accounts."""

from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import find_template
from portal.core.extensions import db
from portal.schedules.rules.timing import ScheduleKind
from portal.schedules.schedule_changes import create_schedule
from portal.schedules.schedule_validation import ScheduleDraft
from portal.schedules.tables.person_dates import find_date_attribute
from portal.schedules.tables.schedules import Schedule

_DRAFT = ScheduleDraft(
    name="License reminders",
    template_key="license-expires",
    audience={"all": True, "staff": False},
    data={},
    kind=ScheduleKind.RELATIVE,
    timing={"attribute": "expires_on", "offsets": "60, 30, 7", "time": "09:00"},
    late_hours=24,
)


def load_schedule(author: Account | None, now_ms: int) -> None:
    """Skip it if there is a schedule, or if the demo was loaded by a release without dates of accounts."""
    has_parts = find_template(_DRAFT.template_key) and find_date_attribute(str(_DRAFT.timing["attribute"]))
    if has_parts and db.session.scalar(select(Schedule.id).limit(1)) is None:
        create_schedule(_DRAFT, author.id if author else None, now_ms)
