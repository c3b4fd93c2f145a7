"""Administration → sends: choose, look at what would happen, send once, watch it go, pause it or cancel it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.tables.accounts import account_types
from portal.content.tables.templates import current_template_versions
from portal.core.audit_log import latest_entry_about
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.delivery_status import group_labels
from portal.messages.tables.delivery_counts import group_counts_by_send
from portal.operations.rules.audit_labels import describe_action
from portal.sends import send_control
from portal.sends.progress import SendReport, send_report
from portal.sends.send_creation import create_send
from portal.sends.send_preview import SEGMENT_SAMPLE_SIZE
from portal.sends.tables.sends import ACTIVE_STATES, Send, sends_before
from portal.web.access import allow
from portal.web.admin import send_form
from portal.web.admin.send_form import SendForm
from portal.web.layout import is_sms_visible
from portal.web.paging import paginate
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import form_text, query_id, query_text
from portal.web.template_filters import count_noun

pages = Blueprint("admin_sends", __name__, url_prefix="/Admin/Sends")
_PAGE = 25


@pages.get("")
@allow("admin")
def listing() -> str:
    before = query_id("before")
    page = paginate(sends_before(before, _PAGE + 1), _PAGE, before)
    counts = group_counts_by_send([send.id for send in page.rows])
    return render_template("admin/sends/index.html", page=page, counts=counts)


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    key = query_text("template")
    form = send_form.blank_send_form(key)
    if form is None:
        problem = f"There is no template with the key “{key}”." if key else ""
        return render_template("admin/sends/choose.html", versions=current_template_versions(), problem=problem)
    return _form_page(form, {})


@pages.post("/new")
@allow("admin")
def edit() -> ResponseReturnValue:
    """Back from the confirmation, with everything that was chosen."""
    return _form_page(_submitted_form(), {}, 200)


@pages.post("/confirm")
@allow("admin")
def confirm() -> ResponseReturnValue:
    return _confirmation_page(_submitted_form())


@pages.post("")
@allow("admin")
def create() -> ResponseReturnValue:
    form, author_id = _submitted_form(), current_user.id
    if form_text("version_id") != str(form.version.id):
        flash("The template was changed meanwhile. Look at the new numbers, then send.", "error")
        return _confirmation_page(form)
    try:
        send_id = create_send(
            form.key, form.audience, form.data, author_id, now_ms(), f"page:{author_id}:{form.request_key}"
        )
    except InvalidInput as error:
        return _form_page(_submitted_form(), error.errors)
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


@pages.get("/<id:send_id>")
@allow("admin")
def show(send_id: int) -> str:
    return _render("admin/sends/one.html", _send(send_id))


@pages.get("/<id:send_id>/progress")
@allow("admin")
def progress(send_id: int) -> str:
    return _render("admin/sends/_progress.html", _send(send_id))


@pages.post("/<id:send_id>/pause")
@allow("admin")
def pause(send_id: int) -> ResponseReturnValue:
    return _control(send_id, send_control.pause_send, "The send is paused. Within a second nothing more of it leaves.")


@pages.post("/<id:send_id>/resume")
@allow("admin")
def resume(send_id: int) -> ResponseReturnValue:
    return _control(send_id, send_control.resume_send, "The send goes on.")


@pages.get("/<id:send_id>/cancel")
@allow("admin")
def confirm_cancel(send_id: int) -> ResponseReturnValue:
    """What it would stop, and what can no longer be stopped."""
    send = _send(send_id)
    if send.state not in ACTIVE_STATES:
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)
    found = send_report(send_id, now_ms())
    return render_template("admin/sends/cancel.html", send=send, report=found, **_cancel_summary(found))


@pages.post("/<id:send_id>/cancel")
@allow("admin")
def cancel(send_id: int) -> ResponseReturnValue:
    return _control(send_id, send_control.cancel_send, "The send is cancelled. What has left has left.")


def _control(send_id: int, steer: Callable[[int, int, int], None], words: str) -> ResponseReturnValue:
    _send(send_id)
    try:
        steer(send_id, current_user.id, now_ms())
        flash(words, "info")
    except ActionRefused as error:
        flash(error.message, "error")
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


def _cancel_summary(found: SendReport) -> dict[str, Any]:
    """In words: what waits, what has left, and what is between the two."""
    waiting, moving, left = Counter[str](), Counter[str](), Counter[str]()
    for channel, groups in found.groups.items():
        waiting[channel] = groups.get("waiting", 0)
        moving[channel] = groups.get("sending", 0)
        left[channel] = sum(groups.values()) - waiting[channel] - moving[channel] - _unsent_count(groups)
    return {
        "stops": _format_counts(waiting),
        "left": _format_counts(left),
        "under_way": " and ".join(_nonzero_counts(moving)),
        "several_under_way": moving.total() != 1,
    }


def _unsent_count(groups: dict[str, int]) -> int:
    """Of a channel, what does not leave at all."""
    return groups.get("skipped", 0) + groups.get("canceled", 0)


def _format_counts(counts: Counter[str]) -> str:
    mails = count_noun(counts["email"], "email")
    return f"{mails} and {count_noun(counts['sms'], 'text')}" if is_sms_visible() else mails


def _nonzero_counts(counts: Counter[str]) -> list[str]:
    """Of each kind of which there are any."""
    words = {"email": "email", "sms": "text"}
    return [count_noun(counts[channel], word) for channel, word in words.items() if counts[channel]]


def _send(send_id: int) -> Send:
    return db.session.get(Send, send_id) or abort(404)


def _submitted_form() -> SendForm:
    return send_form.submitted_send_form() or abort(404)


def _form_page(form: SendForm, errors: dict[str, str], status: int | None = None) -> ResponseReturnValue:
    page = render_template("admin/sends/new.html", form=form, errors=errors, account_types=account_types())
    return page, status or (422 if errors else 200)


def _confirmation_page(form: SendForm) -> ResponseReturnValue:
    try:
        plan = form.plan()
    except InvalidInput as error:
        return _form_page(form, error.errors)
    return render_template("admin/sends/confirm.html", form=form, plan=plan, sampled=SEGMENT_SAMPLE_SIZE)


def _render(template: str, send: Send) -> str:
    now = now_ms()
    found = send_report(send.id, now)
    poll_seconds = None if found.is_final else poll_interval_seconds(now - found.created_at_ms)
    last_control_entry = latest_entry_about(f"send {send.id}")
    return render_template(
        template,
        send=send,
        report=found,
        poll_seconds=poll_seconds,
        group_labels=group_labels,
        bars=_progress_bars(found),
        last_control_entry=last_control_entry,
        steered_words=describe_action(last_control_entry.action, "") if last_control_entry else "",
    )


def _progress_bars(found: SendReport) -> list[tuple[str, str, dict[str, int], int, int]]:
    """For each channel its name, its groups, how many have left and how many are to leave."""
    bars = []
    for channel, name in (("email", "Emails"), ("sms", "Texts")):
        groups = found.groups.get(channel, {})
        total = sum(groups.values()) - groups.get("skipped", 0)
        left = total - groups.get("waiting", 0) - groups.get("sending", 0) - groups.get("canceled", 0)
        bars.append((channel, name, groups, left, total))
    return bars
