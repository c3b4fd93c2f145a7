"""My account → Communications History: what I got, newest first, and each in full."""

from flask import Blueprint, abort, render_template, request
from flask_security import current_user

from portal.core.clock import now_ms
from portal.messages.read_marks import mark_read
from portal.messages.tables import communication_history
from portal.messages.tables.communications import Communication
from portal.web.access import allow
from portal.web.delivery_labels import channel_statuses_for_owner
from portal.web.layout import is_sms_visible
from portal.web.paging import paginate
from portal.web.request_input import query_id

pages = Blueprint("my_history", __name__, url_prefix="/MyAccount/CommunicationsHistory")
_PAGE = 25


@pages.get("")
@allow("user")
def listing() -> str:
    before = query_id("before")
    page = paginate(
        communication_history.account_page(current_user.id, before, _PAGE + 1, is_sms_visible()), _PAGE, before
    )
    return render_template("my_account/history.html", page=page)


@pages.get("/<id:communication_id>")
@allow("user")
def show(communication_id: int) -> str:
    found = communication_history.find_for_account(communication_id, current_user.id)
    if found is None:
        abort(404)
    _mark_read_on_visit(found)
    return render_template(
        "my_account/communication.html", communication=found, statuses=channel_statuses_for_owner(found)
    )


def _mark_read_on_visit(communication: Communication) -> None:
    """A real visit only: browsers that fetch ahead say so."""
    ahead = "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
    if request.method == "GET" and communication.read_at_ms is None and not ahead:
        mark_read(communication.id, current_user.id, now_ms())
