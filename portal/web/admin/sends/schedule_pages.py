"""Administration → schedules: what is sent later, again and again, or on dates of people."""

from collections.abc import Mapping
from time import monotonic

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.time_zones import timezone_choices
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.operations import template_uses
from portal.operations.template_uses import TemplateUse
from portal.schedules import schedule_changes
from portal.schedules.rules.recurrence import WEEKDAYS
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.schedule_changes import ScheduleChanged
from portal.schedules.tables import runs
from portal.schedules.tables.person_dates import date_attributes
from portal.schedules.tables.schedules import Schedule, schedules_of_template, schedules_page
from portal.schedules.upcoming import UpcomingRun, count_run, upcoming_runs
from portal.sends.rules.audience_counts import AudienceCounts
from portal.sends.tables.schedule_recipients import PERIOD_DAYS
from portal.web.access import allow
from portal.web.admin.sends import schedule_labels, schedule_month
from portal.web.admin.sends.schedule_form import (
    ScheduleForm,
    form_of_schedule,
    schedule_form,
    submitted_schedule_form,
)
from portal.web.admin.sends.send_actions import choose_template
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.request_input import query_text
from portal.web.time_display import current_time_zone, first_weekday, weekday_name

pages = Blueprint("admin_schedules", __name__, url_prefix="/Admin/Schedules")
_PAGE_SIZE = 25
_LISTED_RUNS = 5
_SORTS = (Sort("created", N_("Created"), (Schedule.id,), descending=True),)
_FREQUENT_MS = 31 * 86_400_000
_COUNTING_SECONDS = 0.3
"""The list counts the messages of runs for no longer than this; those of the others are counted on their own pages."""


@pages.context_processor
def _labels() -> dict[str, object]:
    return {
        "describe_timing": schedule_labels.describe_timing,
        "state_labels": schedule_labels.STATE_LABELS,
        "run_label": schedule_labels.run_label,
        "describe_ending": schedule_labels.describe_ending,
    }


@pages.get("")
@allow("admin")
def listing() -> str:
    order = requested_order(*_SORTS)
    page = sorted_page(order, schedules_page(order.keyset(_PAGE_SIZE)))
    next_runs = {schedule.id: next_run(schedule) for schedule in page.rows}
    problems = runs.count_unsuccessful(list(next_runs), now_ms() - _FREQUENT_MS)
    counts = _counts(next_runs)
    return render_template(
        "admin/schedules/index.html", page=page, next_runs=next_runs, counts=counts, problems=problems
    )


def _counts(next_runs: Mapping[int, UpcomingRun | None]) -> dict[int, AudienceCounts | None]:
    ends, counts = monotonic() + _COUNTING_SECONDS, {}
    for schedule_id, run in next_runs.items():
        if monotonic() > ends:
            break
        counts[schedule_id] = counts_of(run)
    return counts


@pages.get("/Month")
@allow("admin")
def month() -> str:
    first = schedule_month.requested_month(query_text("month"), now_ms())
    weeks = schedule_month.month_weeks(first, now_ms())
    return render_template(
        "admin/schedules/month.html",
        first=first,
        weeks=weeks,
        endings=schedule_labels.send_endings(run for week in weeks for day in week for run in day.past),
        has_runs=any(day.past or day.upcoming for week in weeks for day in week),
        weekdays=[weekday_name((first_weekday() + number) % 7).capitalize() for number in range(7)],
        previous_month=schedule_month.month_after(first, -1),
        next_month=schedule_month.month_after(first),
    )


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    key = query_text("template")
    form = schedule_form(key, kind=query_text("when") or "once")
    if form is None:
        problem = _("There is no template with the key “%(key)s”.", key=key) if key else ""
        return choose_template("admin_schedules.new", problem)
    return _form_page(form, None)


@pages.post("/new")
@allow("admin")
def refresh() -> ResponseReturnValue:
    """The form with everything that was entered in it, or in the form of a send."""
    return _form_page(_submitted_form(), None)


@pages.post("")
@allow("admin")
def create() -> ResponseReturnValue:
    form = _submitted_form()
    try:
        form_key = f"page:{current_user.id}:{form.form_id.data}"
        schedule_id = schedule_changes.save_form(form.draft, current_user.id, now_ms(), form_key, form.digest)
    except InvalidInput as error:
        return _form_page(form.with_errors(error), None)
    except ActionRefused as error:
        form.name.errors = [error.message]
        return _form_page(form, None)
    flash(_("The schedule is saved."), "info")
    return to_schedule(schedule_id)


@pages.get("/<id:schedule_id>")
@allow("admin")
def show(schedule_id: int) -> str:
    schedule = find_schedule(schedule_id)
    upcoming, latest = _upcoming(schedule, _LISTED_RUNS), runs.latest_runs(schedule_id, _PAGE_SIZE)
    return render_template(
        "admin/schedules/one.html",
        schedule=schedule,
        upcoming=upcoming,
        counts=counts_of(upcoming[0] if upcoming else None),
        runs=latest,
        endings=schedule_labels.send_endings(latest),
        period_days=PERIOD_DAYS,
    )


@pages.get("/<id:schedule_id>/edit")
@allow("admin")
def edit(schedule_id: int) -> ResponseReturnValue:
    schedule = find_schedule(schedule_id)
    if schedule.state == ScheduleState.ENDED:
        return to_schedule(schedule_id)
    return _form_page(form_of_schedule(schedule), schedule)


@pages.post("/<id:schedule_id>/edit")
@allow("admin")
def refresh_edit(schedule_id: int) -> ResponseReturnValue:
    return _form_page(_submitted_form(), find_schedule(schedule_id))


@pages.post("/<id:schedule_id>")
@allow("admin")
def save(schedule_id: int) -> ResponseReturnValue:
    schedule, form = find_schedule(schedule_id), _submitted_form()
    try:
        base_version = form.base_version.data
        schedule_changes.change_schedule(schedule_id, form.draft, base_version, current_user.id, now_ms())
    except InvalidInput as error:
        return _form_page(form.with_errors(error), schedule)
    except ScheduleChanged as error:
        current = find_schedule(schedule_id)
        form.base_version.data, form.base_version.errors = current.version, [error.message]
        return _form_page(form, current)
    except ActionRefused as error:
        flash(error.message, "error")
        return to_schedule(schedule_id)
    flash(_("The schedule is saved."), "info")
    return to_schedule(schedule_id)


def to_schedule(schedule_id: int) -> ResponseReturnValue:
    return redirect(url_for("admin_schedules.show", schedule_id=schedule_id), 303)


def find_schedule(schedule_id: int) -> Schedule:
    return db.session.get(Schedule, schedule_id) or abort(404)


def _upcoming(schedule: Schedule, limit: int) -> list[UpcomingRun]:
    if schedule.state != ScheduleState.ACTIVE:
        return []
    return upcoming_runs(schedule, now_ms(), limit, current_time_zone().key)


def next_run(schedule: Schedule) -> UpcomingRun | None:
    return next(iter(_upcoming(schedule, 1)), None)


def counts_of(run: UpcomingRun | None) -> AudienceCounts | None:
    return None if run is None else count_run(run, now_ms())


def _submitted_form() -> ScheduleForm:
    return submitted_schedule_form() or abort(404)


def _form_page(form: ScheduleForm, schedule: Schedule | None) -> ResponseReturnValue:
    page = render_template(
        "admin/schedules/form.html",
        form=form,
        schedule=schedule,
        zones=timezone_choices(),
        weekdays={day: weekday_name(number).capitalize() for number, day in enumerate(WEEKDAYS)},
        has_dates=bool(date_attributes()),
        period_days=PERIOD_DAYS,
    )
    return page, 422 if form.errors else 200


def _uses_of_template(template_id: int) -> list[TemplateUse]:
    return [
        TemplateUse(
            _("schedule “%(name)s”", name=schedule.name),
            url_for("admin_schedules.show", schedule_id=schedule.id),
            frozenset(schedule.data),
        )
        for schedule in schedules_of_template(template_id)
    ]


template_uses.FINDERS.append(_uses_of_template)
