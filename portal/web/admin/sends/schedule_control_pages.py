"""Administration → schedules: pause, resume and end a schedule, and send its next run now or skip it."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.schedules.occasion_changes import run_occasion_now, skip_occasion
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.schedule_changes import end_schedule, pause_schedule, resume_schedule
from portal.schedules.tables.runs import ScheduleRun
from portal.web.access import allow
from portal.web.admin.sends.schedule_pages import counts_of, find_schedule, next_run, to_schedule
from portal.web.base_form import PortalForm
from portal.web.error_pages import flash_outcome

pages = Blueprint("admin_schedule_control", __name__, url_prefix="/Admin/Schedules/<id:schedule_id>")
_Change = Callable[[int, int, int], object]


class RunForm(PortalForm):
    """`key` is that of the run on the page, so that a second click does not reach the run after it."""

    key = HiddenField(filters=[lambda text: text[:40]])


@pages.post("/pause")
@allow("admin")
def pause(schedule_id: int) -> ResponseReturnValue:
    return _change(schedule_id, pause_schedule, _("The schedule is paused. Nothing is sent."))


@pages.post("/resume")
@allow("admin")
def resume(schedule_id: int) -> ResponseReturnValue:
    return _change(schedule_id, resume_schedule, _("The schedule is active again."))


@pages.get("/end")
@allow("admin")
def confirm_end(schedule_id: int) -> ResponseReturnValue:
    schedule = find_schedule(schedule_id)
    if schedule.state == ScheduleState.ENDED:
        return to_schedule(schedule_id)
    return render_template("admin/schedules/end.html", schedule=schedule)


@pages.post("/end")
@allow("admin")
def end(schedule_id: int) -> ResponseReturnValue:
    return _change(schedule_id, end_schedule, _("The schedule has ended."))


@pages.get("/next")
@allow("admin")
def confirm_run(schedule_id: int) -> ResponseReturnValue:
    """What the next run would send now, to send it or to skip it."""
    schedule = find_schedule(schedule_id)
    run = next_run(schedule)
    if run is None:
        return to_schedule(schedule_id)
    return render_template("admin/schedules/next.html", schedule=schedule, run=run, counts=counts_of(run))


@pages.post("/run")
@allow("admin")
def run(schedule_id: int) -> ResponseReturnValue:
    """Leads to the send; to the schedule, if there is none."""
    find_schedule(schedule_id)
    try:
        run_id = run_occasion_now(schedule_id, current_user.id, now_ms(), RunForm().key.data)
    except ActionRefused as error:
        flash(error.message, "error")
        return to_schedule(schedule_id)
    send_id = db.session.get_one(ScheduleRun, run_id).send_id
    return redirect(url_for("admin_sends.show", send_id=send_id), 303) if send_id else to_schedule(schedule_id)


@pages.post("/skip")
@allow("admin")
def skip(schedule_id: int) -> ResponseReturnValue:
    skip_requested = partial(skip_occasion, key=RunForm().key.data)
    return _change(schedule_id, skip_requested, _("The run is skipped. Nobody gets it."))


def _change(schedule_id: int, change: _Change, message: str) -> ResponseReturnValue:
    find_schedule(schedule_id)
    with flash_outcome(message):
        change(schedule_id, current_user.id, now_ms())
    return to_schedule(schedule_id)
