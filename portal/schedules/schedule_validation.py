"""Check what a schedule is made of, and report each problem at its field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.content.tables.templates import find_template
from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.translation import gettext as _
from portal.schedules.rules.timing import FixedTiming, RelativeTiming, ScheduleKind, next_occasions
from portal.schedules.rules.timing_input import TimingError, read_timing
from portal.schedules.tables import person_dates
from portal.sends.send_creation import check_send

MAX_NAME_LENGTH = 120
MAX_LATE_HOURS = 24 * 14


@dataclass(frozen=True)
class ScheduleDraft:
    """`timing` is as entered (`rules.timing_input`); `late_hours` is 0 to skip missed runs."""

    name: str
    template_key: str
    audience: Mapping[str, Any]
    data: Mapping[str, str]
    kind: str
    timing: Mapping[str, Any]
    late_hours: int | None


def checked_columns(draft: ScheduleDraft, now_ms: int) -> dict[str, Any]:
    """The columns of `Schedule` that a person chooses. Raises `InvalidInput`."""
    name, template = text_input.clean_line(draft.name), find_template(draft.template_key)
    errors = _name_errors(name) | _late_errors(draft.late_hours) | _timing_errors(draft, now_ms)
    try:
        check_send(draft.template_key, draft.audience, draft.data, now_ms)
    except InvalidInput as error:
        errors |= error.errors
    if errors or template is None:
        raise InvalidInput(errors)
    return {
        "name": name,
        "template_id": template.id,
        "audience": dict(draft.audience),
        "data": dict(draft.data),
        "kind": draft.kind,
        "timing": dict(draft.timing),
        "late_hours": draft.late_hours,
    }


def _name_errors(name: str) -> dict[str, str]:
    if not name:
        return {"name": _("Enter a name.")}
    if len(name) > MAX_NAME_LENGTH:
        return {"name": _("The name can have at most %(limit)s characters.", limit=MAX_NAME_LENGTH)}
    return {}


def _late_errors(late_hours: int | None) -> dict[str, str]:
    if late_hours is None or not 0 <= late_hours <= MAX_LATE_HOURS:
        return {"late_hours": _("Enter a whole number of hours from 1 to %(limit)s.", limit=MAX_LATE_HOURS)}
    return {}


def _timing_errors(draft: ScheduleDraft, now_ms: int) -> dict[str, str]:
    if draft.kind not in list(ScheduleKind):
        return {"kind": _("Choose when to send.")}
    try:
        timing = read_timing(draft.kind, draft.timing)
    except TimingError as error:
        return error.errors
    if isinstance(timing, RelativeTiming):
        return _attribute_errors(timing)
    return {} if next_occasions(timing, now_ms, 1) else _never_errors(draft, timing)


def _attribute_errors(timing: RelativeTiming) -> dict[str, str]:
    if person_dates.find_date_attribute(timing.attribute):
        return {}
    return {"attribute": _("There is no date “%(key)s”. Choose another.", key=timing.attribute)}


def _never_errors(draft: ScheduleDraft, timing: FixedTiming) -> dict[str, str]:
    if not timing.rule:
        return {"starts_on": _("This time has passed. Choose a later one.")}
    if draft.timing.get("repeat") == "custom":
        return {"rrule": _("This rule never comes true. Check its days and its end.")}
    field = {"on": "ends_on", "after": "ends_after"}.get(str(draft.timing.get("ends")), "starts_on")
    return {field: _("With this end, it would never run. Choose a later one.")}
