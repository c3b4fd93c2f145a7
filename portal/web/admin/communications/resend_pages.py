"""Administration → communications: send one again, or all of a filtered list."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.translation import ngettext
from portal.records import sending_again
from portal.records.rules.search_line import InvalidSearch
from portal.records.sending_again import ResendPart
from portal.sends.tables.resends import Resend, count_already_resent
from portal.settings.app_settings import current_send_settings
from portal.web.access import allow
from portal.web.admin.communications.search_pages import viewer
from portal.web.admin.sends.plan_description import plan_values
from portal.web.base_form import PortalForm
from portal.web.layout import is_sms_visible
from portal.web.request_input import parse_id

pages = Blueprint("admin_resends", __name__, url_prefix="/Admin/Communications/Again")


class ResendForm(PortalForm):
    """One communication, or everything that the search line `q` finds."""

    communication, q = HiddenField(filters=[parse_id]), HiddenField()


@pages.post("")
@allow("admin")
def choose() -> ResponseReturnValue:
    form = ResendForm()
    communication_id, line = form.communication.data, form.q.data
    try:
        if communication_id:
            resend_id = sending_again.choose_one(communication_id, current_user.id, now_ms())
        else:
            resend_id = sending_again.choose_found(line, viewer(), is_sms_visible(), current_user.id)
    except (ActionRefused, InvalidSearch) as error:
        flash(str(error), "error")
        return redirect(_origin(communication_id, line), 303)
    return redirect(url_for(".show", resend_id=resend_id), 303)


@pages.get("/<id:resend_id>")
@allow("admin")
def show(resend_id: int) -> str:
    """Who would get what, before anything is sent."""
    resend = db.session.get(Resend, resend_id) or abort(404)
    parts = [(part, plan_values(part.plan) if part.plan else {}) for part in _parts(resend_id)]
    plans = [part.plan for part, _values in parts if part.plan]
    return render_template(
        "admin/communications/again.html",
        resend=resend,
        parts=parts,
        chosen=sending_again.count_communications(resend_id),
        already_resent=count_already_resent(resend_id),
        emails=sum(plan.emails for plan in plans),
        texts=sum(plan.texts for plan in plans),
        needs_approval=any(plan.needs_approval for plan in plans),
    )


@pages.post("/<id:resend_id>")
@allow("admin")
def confirm(resend_id: int) -> ResponseReturnValue:
    """A second click leads to the same sends."""
    if db.session.get(Resend, resend_id) is None:
        abort(404)
    undo_seconds = current_send_settings().undo_seconds
    try:
        send_ids = sending_again.confirm_resend(resend_id, current_user.id, now_ms(), undo_seconds)
    except ActionRefused as error:
        flash(error.message, "error")
        return redirect(url_for(".show", resend_id=resend_id), 303)
    if len(send_ids) == 1:
        return redirect(url_for("admin_sends.show", send_id=send_ids[0]), 303)
    flash(ngettext("%(num)s send was made.", "%(num)s sends were made.", len(send_ids)), "info")
    return redirect(url_for("admin_sends.listing"), 303)


def _parts(resend_id: int) -> list[ResendPart]:
    return sending_again.resend_parts(resend_id, now_ms())


def _origin(communication_id: int | None, line: str) -> str:
    if communication_id:
        return url_for("admin_communications.show", communication_id=communication_id)
    return url_for("admin_communications.listing", q=line or None)
