"""Administration → sends: after a send. Whom it did not reach, the next round, and the archive."""

from collections.abc import Iterator

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, SelectField
from wtforms.validators import DataRequired

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.rules import csv_output
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Communication
from portal.sends import send_control
from portal.sends.next_rounds import record_unreached_export, start_round
from portal.sends.tables import rounds
from portal.sends.tables.rounds import RoundOutcome
from portal.settings.app_settings import current_send_settings
from portal.web.access import allow
from portal.web.admin.sends.send_actions import change_send, send_or_404
from portal.web.base_form import PortalForm
from portal.web.delivery_labels import CHANNEL_LABELS, channel_statuses
from portal.web.languages import keep_language
from portal.web.layout import is_sms_visible
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.request_input import parse_id

pages = Blueprint("admin_send_rounds", __name__, url_prefix="/Admin/Sends")
_PAGE_SIZE = 50
_SORTS = (Sort("account", N_("Recipient"), (Communication.id,)),)


class RoundForm(PortalForm):
    """`number` is that of the round on the page."""

    outcome = SelectField(choices=list(RoundOutcome))
    number = HiddenField(validators=[DataRequired()], filters=[parse_id])


@pages.get("/<id:send_id>/unreached")
@allow("admin")
def unreached(send_id: int) -> str:
    """Whom neither an email nor a text has reached."""
    send, order, at_ms = send_or_404(send_id), requested_order(*_SORTS), now_ms()
    page = sorted_page(order, rounds.unreached_page(send.id, at_ms, order.keyset(_PAGE_SIZE)))
    rows = [(item, {status.channel: status for status in channel_statuses(item)}) for item in page.rows]
    channels = {channel: _(name) for channel, name in CHANNEL_LABELS.items() if channel == "email" or is_sms_visible()}
    total = rounds.count_members(send.id, RoundOutcome.UNREACHED, at_ms)
    return render_template(
        "admin/sends/rounds/unreached.html", send=send, page=page, rows=rows, channels=channels, total=total
    )


@pages.get("/<id:send_id>/unreached.csv")
@allow("admin")
def export(send_id: int) -> ResponseReturnValue:
    """For letters. HEAD hands nothing out, so the audit log has no entry of it."""
    send, at_ms = send_or_404(send_id), now_ms()
    if request.method == "HEAD":
        return Response(mimetype="text/csv")
    record_unreached_export(send.id, current_user.id, at_ms)
    headers = {"Content-Disposition": f"attachment; filename=not-reached-by-send-{send_id}.csv"}
    lines = keep_language(stream_with_context(_csv_lines(send_id, at_ms)))
    return Response(lines, mimetype="text/csv", headers=headers)


def _csv_lines(send_id: int, at_ms: int) -> Iterator[str]:
    """Without phone numbers: a letter needs none."""
    columns = (_("Account number"), _("Name"), _("Email"), _("Reasons"))
    yield csv_output.BYTE_ORDER_MARK + csv_output.format_row(columns)
    after_id = 0
    while batch := rounds.unreached_after(send_id, at_ms, after_id):
        for item in batch:
            account, after_id = item.account, item.id
            yield csv_output.format_row((account.external_id, account.name, account.email, _reasons(item)))


def _reasons(communication: Communication) -> str:
    """“Email: Rejected. …; Text: …”."""
    statuses = channel_statuses(communication)
    return "; ".join(f"{status.name}: {status.label}. {status.detail}".strip() for status in statuses)


@pages.post("/<id:send_id>/rounds")
@allow("admin")
def send_round(send_id: int) -> ResponseReturnValue:
    """Make the next round; a second click leads to the same send."""
    send_or_404(send_id)
    form, undo_seconds = RoundForm(), current_send_settings().undo_seconds
    if not form.validate():
        abort(404)
    outcome, number = RoundOutcome(form.outcome.data), form.number.data
    try:
        round_id = start_round(send_id, outcome, number, current_user.id, now_ms(), undo_seconds)
    except ActionRefused as error:
        flash(error.message, "error")
        round_id = send_id
    return redirect(url_for("admin_sends.show", send_id=round_id), 303)


@pages.post("/<id:send_id>/archive")
@allow("admin")
def archive(send_id: int) -> ResponseReturnValue:
    return change_send(
        send_id, send_control.archive_send, _("The send is archived. It stays in the filter “Archived”.")
    )


@pages.post("/<id:send_id>/unarchive")
@allow("admin")
def unarchive(send_id: int) -> ResponseReturnValue:
    return change_send(send_id, send_control.unarchive_send, _("The send is in the list again."))
