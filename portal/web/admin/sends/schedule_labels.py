"""What pages say about schedules and their runs in words."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from markupsafe import Markup

from portal.core.audit_log import AuditEntry, latest_entries
from portal.core.translation import N_, format_number, join_words, ngettext
from portal.core.translation import gettext as _
from portal.schedules.rules.recurrence import WEEKDAYS, weekday_position
from portal.schedules.rules.schedule_states import RunState, ScheduleState
from portal.schedules.rules.timing import FixedTiming, RelativeTiming
from portal.schedules.rules.timing_input import TimingError, parse_day
from portal.schedules.tables.person_dates import find_date_attribute
from portal.schedules.tables.runs import ScheduleRun
from portal.schedules.tables.schedules import Schedule
from portal.sends.rules.send_state import SendState
from portal.web.time_display import day_name, relative_time, time_of_day, weekday_name

STATE_LABELS = {
    ScheduleState.ACTIVE: (N_("Active"), "ok"),
    ScheduleState.PAUSED: (N_("Paused"), "wait"),
    ScheduleState.ENDED: (N_("Ended"), "off"),
}
_RUN_LABELS = {
    RunState.PLANNED: (N_("Starting"), "wait"),
    RunState.SENT: (N_("Sent"), "ok"),
    RunState.EMPTY: (N_("Nobody to send to"), "off"),
    RunState.FAILED: (N_("Failed"), "bad"),
    RunState.SKIPPED: (N_("Skipped"), "off"),
    RunState.MISSED: (N_("Missed"), "bad"),
}
_SEND_LABELS = {
    SendState.AWAITING_APPROVAL: (N_("Needs approval"), "new"),
    SendState.CANCELED: (N_("Canceled"), "off"),
}
_ENDINGS = {
    "send_declined": N_("Declined"),
    "send_withdrawn": N_("Withdrawn"),
    "send_superseded": N_("Replaced by a later run"),
    "send_undone": N_("Undone"),
    "send_canceled": N_("Canceled"),
}
"""How a send was canceled, by the action in the audit log."""
"""Labels and tones. A run whose send will not leave, or not yet, is not shown as sent."""
_MONTHLY_WEEKDAYS = {
    1: N_("Every month on the first %(weekday)s"),
    2: N_("Every month on the second %(weekday)s"),
    3: N_("Every month on the third %(weekday)s"),
    4: N_("Every month on the fourth %(weekday)s"),
    -1: N_("Every month on the last %(weekday)s"),
}


Endings = Mapping[str, AuditEntry]


def send_endings(runs: Iterable[ScheduleRun]) -> Endings:
    """Who ended the canceled sends of these runs, and how, by the subject in the audit log."""
    canceled = [_subject(run) for run in runs if run.send and run.send.state == SendState.CANCELED]
    return latest_entries(canceled, list(_ENDINGS))


def _subject(run: ScheduleRun) -> str:
    return f"send {run.send_id}"


def run_label(run: ScheduleRun, endings: Endings) -> tuple[str, str]:
    """What became of a run, and a tone."""
    if ending := endings.get(_subject(run)):
        return _ENDINGS[ending.action], "off"
    label = _SEND_LABELS.get(SendState(run.send.state)) if run.send else None
    return label or _RUN_LABELS[RunState(run.state)]


def describe_ending(run: ScheduleRun, endings: Endings) -> str:
    """Who declined, withdrew or canceled the send of a run, when and why; "" if nobody did."""
    ending = endings.get(_subject(run))
    if ending is None:
        return ""
    when, reason = relative_time(ending.at_ms), ending.detail.get("reason", "")
    if ending.actor is None:
        return when
    values = {"when": when, "name": ending.actor.name, "reason": reason}
    text = _("%(when)s by %(name)s: %(reason)s") if reason else _("%(when)s by %(name)s")
    return Markup(text) % values  # noqa: S704  our own words


def describe_timing(schedule: Schedule) -> str:
    """“Every week on Monday at 9:00 AM (America/New_York)”."""
    try:
        return _describe_timing(schedule)
    except TimingError as error:
        return _("Cannot be used any more: %(problem)s", problem=str(error))


def _describe_timing(schedule: Schedule) -> str:
    if schedule.is_relative:
        return _describe_relative(schedule.relative_timing)
    timing = schedule.fixed_timing
    values = {"time": time_of_day(timing.at), "zone": timing.zone}
    if not timing.rule:
        return _("%(day)s at %(time)s (%(zone)s)", day=day_name(timing.starts_on), **values)
    repetition = _describe_repetition(schedule, timing)
    if end := _describe_end(schedule):
        return _("%(repetition)s at %(time)s (%(zone)s), %(end)s", repetition=repetition, end=end, **values)
    return _("%(repetition)s at %(time)s (%(zone)s)", repetition=repetition, **values)


def _describe_relative(timing: RelativeTiming) -> str:
    attribute = find_date_attribute(timing.attribute)
    label = attribute.label if attribute else timing.attribute
    days, time = join_words(_describe_offsets(timing.offsets)), time_of_day(timing.at)
    return _("%(label)s: %(days)s, at %(time)s in each person’s time zone", label=label, days=days, time=time)


def _describe_offsets(offsets: Sequence[int]) -> list[str]:
    """“60, 30 and 7 days before”, “on the day”, “1 day after”."""
    before = [offset for offset in offsets if offset > 0]
    after = [-offset for offset in offsets if offset < 0]
    return [
        *([_describe_days(before, N_("%(days)s days before"), N_("1 day before"))] if before else []),
        *([_("on the day")] if 0 in offsets else []),
        *([_describe_days(after, N_("%(days)s days after"), N_("1 day after"))] if after else []),
    ]


def _describe_days(days: Sequence[int], many: str, one: str) -> str:
    return _(one) if list(days) == [1] else _(many, days=join_words([format_number(number) for number in days]))


def _describe_repetition(schedule: Schedule, timing: FixedTiming) -> str:
    repeat, starts_on = schedule.timing["repeat"], timing.starts_on
    if repeat == "weekly":
        return _(
            "Every week on %(weekdays)s", weekdays=join_words(_weekday_names(schedule.timing["weekdays"], starts_on))
        )
    if repeat == "monthly_weekday":
        return _(_MONTHLY_WEEKDAYS[weekday_position(starts_on)], weekday=weekday_name(starts_on.weekday()))
    return {
        "daily": _("Every day"),
        "monthly_day": _("Every month on day %(day)s", day=starts_on.day),
        "monthly_last": _("Every month on the last day"),
        "yearly": _("Every year from %(day)s", day=day_name(starts_on)),
        "custom": _("By the rule %(rule)s", rule=timing.rule),
    }[repeat]


def _weekday_names(weekdays: Sequence[str], starts_on: date) -> list[str]:
    return [weekday_name(WEEKDAYS.index(day)) for day in weekdays or [WEEKDAYS[starts_on.weekday()]]]


def _describe_end(schedule: Schedule) -> str:
    timing = schedule.timing
    if timing["repeat"] != "custom" and timing["ends"] == "on":
        return _("until %(day)s", day=day_name(parse_day(timing["ends_on"])))
    if timing["repeat"] != "custom" and timing["ends"] == "after":
        return ngettext("%(num)s time", "%(num)s times", int(timing["ends_after"]))
    return ""
