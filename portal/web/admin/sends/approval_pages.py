"""Administration → sends: before a send begins. Undo it, approve or decline somebody else's, withdraw one's own."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, StringField, TextAreaField

from portal.accounts.rules.access_rules import is_owner
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.sends import send_approval, send_control
from portal.sends.rules.send_state import SendState
from portal.sends.send_creation import plan_version
from portal.sends.tables.sends import Send
from portal.settings.app_settings import current_send_settings
from portal.web.access import allow
from portal.web.admin.sends.plan_description import plan_values
from portal.web.admin.sends.send_actions import change_send, send_or_404, send_url
from portal.web.admin.sends.send_form import form_of_send
from portal.web.admin.sends.send_pages import form_page
from portal.web.base_form import PortalForm
from portal.web.request_input import parse_id

pages = Blueprint("admin_send_approval", __name__, url_prefix="/Admin/Sends")
_PLAN_VALID_MS = 300_000
"""Counts older than five minutes are shown anew before somebody approves them."""


class ApproveForm(PortalForm):
    """When the numbers on the page were counted, and whether a late send goes out (“yes”)."""

    planned_at_ms = HiddenField(filters=[parse_id])
    late = StringField()


class DeclineForm(PortalForm):
    reason = TextAreaField(
        lazy_gettext("Reason"), description=lazy_gettext("The author sees it, and it is kept in the audit log.")
    )


@pages.get("/<id:send_id>/form")
@allow("admin")
def form(send_id: int) -> ResponseReturnValue:
    """The form as it was filled in for this send, for a new one."""
    return form_page(form_of_send(send_or_404(send_id)))


@pages.post("/<id:send_id>/undo")
@allow("admin")
def undo(send_id: int) -> ResponseReturnValue:
    message = _("Nothing was sent. You can change the send here, then send it again.")
    return _to_form(send_id, send_control.undo_send, message)


@pages.post("/<id:send_id>/withdraw")
@allow("admin")
def withdraw(send_id: int) -> ResponseReturnValue:
    message = _("The send is withdrawn. You can change it here, then ask for approval again.")
    return _to_form(send_id, send_approval.withdraw_send, message)


@pages.get("/<id:send_id>/approval")
@allow("admin")
def review(send_id: int) -> ResponseReturnValue:
    """What the send would do, counted now, and the decision about it."""
    send = send_or_404(send_id)
    if send.state != SendState.AWAITING_APPROVAL:
        return redirect(send_url(send_id), 303)
    return _review_page(send)


@pages.post("/<id:send_id>/approve")
@allow("admin")
def approve(send_id: int) -> ResponseReturnValue:
    send, approve_form = send_or_404(send_id), ApproveForm()
    is_late_accepted = approve_form.late.data == "yes"
    if not 0 <= now_ms() - (approve_form.planned_at_ms.data or 0) <= _PLAN_VALID_MS:
        flash(_("The numbers were more than five minutes old. Check the new ones, then approve."), "error")
        return redirect(url_for("admin_send_approval.review", send_id=send_id), 303)
    if send.state == SendState.AWAITING_APPROVAL and send_approval.is_late(send, now_ms()) and not is_late_accepted:
        approve_form.late.errors = [send_approval.late_message()]
        return _review_page(send, approve_form)
    undo_seconds = current_send_settings().undo_seconds
    approve_send = partial(send_approval.approve_send, undo_seconds=undo_seconds, is_late_accepted=is_late_accepted)
    return change_send(send_id, approve_send, _("The send is approved."))


@pages.post("/<id:send_id>/decline")
@allow("admin")
def decline(send_id: int) -> ResponseReturnValue:
    send, decline_form = send_or_404(send_id), DeclineForm()
    try:
        send_approval.decline_send(send_id, decline_form.reason.data, current_user.id, now_ms())
    except InvalidInput as error:
        if send.state == SendState.AWAITING_APPROVAL:
            return _review_page(send, decline_form.with_errors(error))
    except ActionRefused as error:
        flash(error.message, "error")
    else:
        flash(_("The send is declined. Nothing was sent."), "info")
    return redirect(send_url(send_id), 303)


def _review_page(send: Send, rejected: PortalForm | None = None) -> ResponseReturnValue:
    errors = rejected.error_messages if rejected else {}
    try:
        values: dict[str, Any] = plan_values(plan_version(send.version, send.audience, send.data, now_ms()))
    except ActionRefused as error:
        values = {"plan": None, "problem": error.message}
    page = render_template(
        "admin/sends/planning/review.html",
        send=send,
        decline_form=rejected if isinstance(rejected, DeclineForm) else DeclineForm(formdata=None),
        errors=errors,
        is_author=is_owner(send.created_by_id, current_user.id),
        is_late=send_approval.is_late(send, now_ms()),
        **values,
    )
    return page, 422 if errors else 200


def _to_form(send_id: int, change: Callable[[int, int, int], None], message: str) -> ResponseReturnValue:
    """Make the change, then show the form as it was filled in, or for a round, the send that it follows."""
    if earlier_id := send_or_404(send_id).audience.get("round_of"):
        return change_send(send_id, change, _("Nothing was sent."), send_url(earlier_id))
    return change_send(send_id, change, message, url_for("admin_send_approval.form", send_id=send_id))
