"""Administration → sends: create a send, confirm it, follow its progress, pause it or cancel it."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.audit_log import latest_entry_about
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.rules.delivery_status import group_labels
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.gateways.job_reports import find_jobs
from portal.messages.tables.delivery_counts import group_counts_by_send
from portal.operations.job_control import retry_job
from portal.schedules.tables.runs import run_of_send
from portal.sends import send_control
from portal.sends.next_rounds import UNOPENED_AFTER_DAYS, next_rounds
from portal.sends.progress import send_report
from portal.sends.rules.send_state import SendState
from portal.sends.send_creation import create_send
from portal.sends.tables.sends import ACTIVE_STATES, Send, find_send_of_form, sends_page, sends_to_approve
from portal.settings.app_settings import current_send_settings
from portal.web.access import allow
from portal.web.admin.sends import send_descriptions
from portal.web.admin.sends.plan_description import plan_values
from portal.web.admin.sends.send_actions import change_send, choose_template, send_or_404
from portal.web.admin.sends.send_descriptions import seconds_to_start
from portal.web.admin.sends.send_form import SendForm, form_of_send, send_form, submitted_send_form
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import query_text

pages = Blueprint("admin_sends", __name__, url_prefix="/Admin/Sends")
_PAGE_SIZE = 25
_SORTS = (
    Sort("started", N_("Started"), (Send.id,), descending=True),
    # The names of the states happen to be in the order of the alphabet: descending shows what is under way first.
    Sort("status", N_("Status"), (Send.state, Send.id), descending=True),
)


@pages.get("")
@allow("admin")
def listing() -> str:
    order, is_archived = requested_order(*_SORTS), query_text("show") == "archived"
    page = sorted_page(order, sends_page(order.keyset(_PAGE_SIZE), is_archived))
    counts = group_counts_by_send([send.id for send in page.rows])
    to_approve = [] if is_archived else sends_to_approve()
    return render_template(
        "admin/sends/index.html", page=page, counts=counts, is_archived=is_archived, to_approve=to_approve
    )


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    """Back from a send that was made with the form `form_id` leads to the send, not to the form."""
    key, form_id = query_text("template"), query_text("form_id")
    if form_id and (send := find_send_of_form(_form_key(form_id))):
        return redirect(url_for("admin_sends.show", send_id=send.id))
    form = send_form(key)
    if form is None:
        problem = _("There is no template with the key “%(key)s”.", key=key) if key else ""
        return choose_template("admin_sends.new", problem)
    return form_page(form)


@pages.post("/new")
@allow("admin")
def edit() -> ResponseReturnValue:
    """Return from the confirmation to the form with all values."""
    return form_page(_submitted_form())


@pages.post("/confirm")
@allow("admin")
def confirm() -> ResponseReturnValue:
    return _confirmation_page(_submitted_form())


@pages.get("/<id:send_id>/again")
@allow("admin")
def send_again(send_id: int) -> ResponseReturnValue:
    """Check a send with the audience and the values of an earlier one, and the template as it is now."""
    return _confirmation_page(form_of_send(send_or_404(send_id)))


@pages.post("")
@allow("admin")
def create() -> ResponseReturnValue:
    form, author_id = _submitted_form(), current_user.id
    if form.version_id.data != str(form.version.id):
        flash(_("The template has changed. Check the new numbers, then send."), "error")
        return _confirmation_page(form)
    request_key, undo_seconds = _form_key(form.request_key), current_send_settings().undo_seconds
    values = form.values, author_id, now_ms(), request_key, undo_seconds
    try:
        send_id = create_send(form.key, form.chosen_audience, *values, shown_send_id=form.shown_send_id)
    except InvalidInput as error:
        return form_page(_submitted_form().with_errors(error))
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


@pages.get("/<id:send_id>")
@allow("admin")
def show(send_id: int) -> str:
    run = run_of_send(send_id)
    return _render("admin/sends/one.html", send_or_404(send_id), schedule=run.schedule if run else None)


@pages.get("/<id:send_id>/progress")
@allow("admin")
def progress(send_id: int) -> str:
    return _render("admin/sends/_progress.html", send_or_404(send_id))


@pages.get("/<id:send_id>/countdown")
@allow("admin")
def countdown(send_id: int) -> ResponseReturnValue:
    """The seconds until the send begins; once they are over, the progress in place of what is on the page."""
    send = send_or_404(send_id)
    if seconds_to_start(send):
        return render_template("admin/sends/_countdown.html", send=send, seconds_to_start=seconds_to_start(send))
    return _render("admin/sends/_progress.html", send), {"HX-Retarget": "#progress", "HX-Reswap": "outerHTML"}


@pages.post("/<id:send_id>/pause")
@allow("admin")
def pause(send_id: int) -> ResponseReturnValue:
    return change_send(send_id, send_control.pause_send, _("The send is paused. Sending stops within about a second."))


@pages.post("/<id:send_id>/resume")
@allow("admin")
def resume(send_id: int) -> ResponseReturnValue:
    return change_send(send_id, send_control.resume_send, _("Sending resumed."))


@pages.get("/<id:send_id>/cancel")
@allow("admin")
def confirm_cancel(send_id: int) -> ResponseReturnValue:
    """Show what can still be stopped."""
    send = send_or_404(send_id)
    if send.state not in ACTIVE_STATES:
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)
    report = send_report(send_id, now_ms())
    return render_template(
        "admin/sends/cancel.html", send=send, report=report, **send_descriptions.describe_cancel(report)
    )


@pages.post("/<id:send_id>/cancel")
@allow("admin")
def cancel(send_id: int) -> ResponseReturnValue:
    message = _("The send is canceled. Messages already sent can’t be recalled.")
    return change_send(send_id, send_control.cancel_send, message)


@pages.post("/<id:send_id>/jobs/<job_id>/retry")
@allow("admin")
def retry(send_id: int, job_id: str) -> ResponseReturnValue:
    if job_id not in _job_ids(send_id):
        abort(404)
    return change_send(send_id, lambda _id, *actor: retry_job(job_id, *actor), _("The job was started again."))


def _job_ids(send_id: int) -> list[str]:
    return [queue.job_id(job, send_id) for job in ("fan_out_send", "apply_send_control")]


def _form_key(key: str) -> str:
    """Forms belong to the person who filled them in."""
    return f"page:{current_user.id}:{key}"


def _submitted_form() -> SendForm:
    return submitted_send_form() or abort(404)


def form_page(form: SendForm) -> ResponseReturnValue:
    """The form of a send, with its errors."""
    return render_template("admin/sends/new.html", form=form), 422 if form.errors else 200


def _confirmation_page(form: SendForm) -> ResponseReturnValue:
    try:
        plan = form.plan()
    except InvalidInput as error:
        return form_page(form.with_errors(error))
    return render_template("admin/sends/confirm.html", form=form, **plan_values(plan))


def _render(template: str, send: Send, **values: object) -> str:
    now = now_ms()
    report = send_report(send.id, now)
    jobs = find_jobs(settings().redis_url, *_job_ids(send.id))
    return render_template(
        template,
        send=send,
        report=report,
        jobs=jobs,
        retry_url=lambda job_id: url_for("admin_sends.retry", send_id=send.id, job_id=job_id),
        seconds_to_start=seconds_to_start(send),
        next_rounds=next_rounds(send, now),
        unopened_after_days=UNOPENED_AFTER_DAYS,
        poll_seconds=_poll_seconds(send, report.is_final and jobs.is_over, now),
        group_labels=group_labels,
        bars=send_descriptions.progress_bars(report),
        database_state=send_descriptions.describe_database_state(report),
        last_change=send_descriptions.describe_last_change(latest_entry_about(f"send {send.id}")),
        **values,
    )


def _poll_seconds(send: Send, is_over: bool, now: int) -> int | None:
    """Before a send begins, its countdown polls, and a send that waits for approval may wait for days."""
    if is_over or send.state == SendState.AWAITING_APPROVAL or seconds_to_start(send):
        return None
    return poll_interval_seconds(now - send.begins_at_ms)
