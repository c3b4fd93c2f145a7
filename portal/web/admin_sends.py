"""Administration → sends: choose, look at what would happen, send once, watch it go, pause it or cancel it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.actions import send_control
from portal.actions.errors import Invalid, Refused
from portal.actions.outlook import SAMPLED
from portal.actions.progress import SendReport, report
from portal.actions.sends import create_send
from portal.clock import now_ms
from portal.domain.audit_words import words_for
from portal.domain.status import group_words
from portal.extensions import db
from portal.models.account import account_types
from portal.models.audit_log import last_about
from portal.models.progress import groups_of
from portal.models.send import UNDER_WAY, Send, page_before
from portal.models.template import all_current
from portal.web import send_form
from portal.web.access import allow
from portal.web.display import counted
from portal.web.intervals import seconds_until_next_look
from portal.web.layout import sms_shown
from portal.web.paging import page_of
from portal.web.parsing import query_id, query_words, typed
from portal.web.send_form import SendForm

pages = Blueprint("admin_sends", __name__, url_prefix="/Admin/Sends")
_PAGE = 25


@pages.get("")
@allow("admin")
def listing() -> str:
    before = query_id("before")
    page = page_of(page_before(before, _PAGE + 1), _PAGE, before)
    counts = groups_of([send.id for send in page.rows])
    return render_template("admin/sends/index.html", page=page, counts=counts)


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    key = query_words("template")
    form = send_form.empty(key)
    if form is None:
        problem = f"There is no template with the key “{key}”." if key else ""
        return render_template("admin/sends/choose.html", versions=all_current(), problem=problem)
    return _form(form, {})


@pages.post("/new")
@allow("admin")
def change() -> ResponseReturnValue:
    """Back from the confirmation, with everything that was chosen."""
    return _form(_filled(), {}, 200)


@pages.post("/confirm")
@allow("admin")
def confirm() -> ResponseReturnValue:
    return _confirmation(_filled())


@pages.post("")
@allow("admin")
def create() -> ResponseReturnValue:
    form, author_id = _filled(), current_user.id
    if typed("version_id") != str(form.version.id):
        flash("The template was changed meanwhile. Look at the new numbers, then send.", "error")
        return _confirmation(form)
    try:
        send_id = create_send(
            form.key, form.audience, form.data, author_id, now_ms(), f"page:{author_id}:{form.request_key}"
        )
    except Invalid as error:
        return _form(_filled(), error.errors)
    return redirect(url_for("admin_sends.one", send_id=send_id), 303)


@pages.get("/<id:send_id>")
@allow("admin")
def one(send_id: int) -> str:
    return _render("admin/sends/one.html", _send(send_id))


@pages.get("/<id:send_id>/progress")
@allow("admin")
def progress(send_id: int) -> str:
    return _render("admin/sends/_progress.html", _send(send_id))


@pages.post("/<id:send_id>/pause")
@allow("admin")
def pause(send_id: int) -> ResponseReturnValue:
    return _steered(send_id, send_control.pause_send, "The send is paused. Within a second nothing more of it leaves.")


@pages.post("/<id:send_id>/resume")
@allow("admin")
def resume(send_id: int) -> ResponseReturnValue:
    return _steered(send_id, send_control.resume_send, "The send goes on.")


@pages.get("/<id:send_id>/cancel")
@allow("admin")
def before_cancel(send_id: int) -> ResponseReturnValue:
    """What it would stop, and what can no longer be stopped."""
    send = _send(send_id)
    if send.state not in UNDER_WAY:
        return redirect(url_for("admin_sends.one", send_id=send_id), 303)
    found = report(send_id, now_ms())
    return render_template("admin/sends/cancel.html", send=send, report=found, **_stopping(found))


@pages.post("/<id:send_id>/cancel")
@allow("admin")
def cancel(send_id: int) -> ResponseReturnValue:
    return _steered(send_id, send_control.cancel_send, "The send is cancelled. What has left has left.")


def _steered(send_id: int, steer: Callable[[int, int, int], None], words: str) -> ResponseReturnValue:
    _send(send_id)
    try:
        steer(send_id, current_user.id, now_ms())
        flash(words, "info")
    except Refused as error:
        flash(error.sentence, "error")
    return redirect(url_for("admin_sends.one", send_id=send_id), 303)


def _stopping(found: SendReport) -> dict[str, Any]:
    """In words: what waits, what has left, and what is between the two."""
    waiting, moving, left = Counter[str](), Counter[str](), Counter[str]()
    for channel, groups in found.groups.items():
        waiting[channel] = groups.get("waiting", 0)
        moving[channel] = groups.get("sending", 0)
        left[channel] = sum(groups.values()) - waiting[channel] - moving[channel] - _never(groups)
    return {
        "stops": _mails_and_texts(waiting),
        "left": _mails_and_texts(left),
        "under_way": " and ".join(_counts(moving)),
        "several_under_way": moving.total() != 1,
    }


def _never(groups: dict[str, int]) -> int:
    """Of a channel, what does not leave at all."""
    return groups.get("skipped", 0) + groups.get("canceled", 0)


def _mails_and_texts(counts: Counter[str]) -> str:
    mails = counted(counts["email"], "email")
    return f"{mails} and {counted(counts['sms'], 'text')}" if sms_shown() else mails


def _counts(counts: Counter[str]) -> list[str]:
    """Of each kind of which there are any."""
    words = {"email": "email", "sms": "text"}
    return [counted(counts[channel], word) for channel, word in words.items() if counts[channel]]


def _send(send_id: int) -> Send:
    return db.session.get(Send, send_id) or abort(404)


def _filled() -> SendForm:
    return send_form.filled() or abort(404)


def _form(form: SendForm, errors: dict[str, str], status: int | None = None) -> ResponseReturnValue:
    page = render_template("admin/sends/new.html", form=form, errors=errors, account_types=account_types())
    return page, status or (422 if errors else 200)


def _confirmation(form: SendForm) -> ResponseReturnValue:
    try:
        plan = form.plan()
    except Invalid as error:
        return _form(form, error.errors)
    return render_template("admin/sends/confirm.html", form=form, plan=plan, sampled=SAMPLED)


def _render(template: str, send: Send) -> str:
    now = now_ms()
    found = report(send.id, now)
    every = None if found.finished else seconds_until_next_look(now - found.created_at_ms)
    steered = last_about(f"send {send.id}")
    return render_template(
        template,
        send=send,
        report=found,
        every=every,
        group_words=group_words,
        bars=_bars(found),
        steered=steered,
        steered_words=words_for(steered.action, "") if steered else "",
    )


def _bars(found: SendReport) -> list[tuple[str, str, dict[str, int], int, int]]:
    """For each channel its name, its groups, how many have left and how many are to leave."""
    bars = []
    for channel, name in (("email", "Emails"), ("sms", "Texts")):
        groups = found.groups.get(channel, {})
        total = sum(groups.values()) - groups.get("skipped", 0)
        left = total - groups.get("waiting", 0) - groups.get("sending", 0) - groups.get("canceled", 0)
        bars.append((channel, name, groups, left, total))
    return bars
