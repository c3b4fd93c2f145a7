"""My account → Communications History: the list and each communication in full."""

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
_PAGE_SIZE = 25


@pages.get("")
@allow("user")
def listing() -> str:
    before = query_id("before")
    rows = communication_history.account_page(current_user.id, before, _PAGE_SIZE + 1, is_sms_visible())
    return render_template("my_account/history.html", page=paginate(rows, _PAGE_SIZE, before))


@pages.get("/<id:communication_id>")
@allow("user")
def show(communication_id: int) -> str:
    communication = communication_history.find_for_account(communication_id, current_user.id) or abort(404)
    _mark_read_on_visit(communication)
    statuses = channel_statuses_for_owner(communication)
    return render_template("my_account/communication.html", communication=communication, statuses=statuses)


def _mark_read_on_visit(communication: Communication) -> None:
    """Ignore prefetching, which browsers announce in a header."""
    is_prefetch = "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
    if request.method == "GET" and communication.read_at_ms is None and not is_prefetch:
        mark_read(communication.id, current_user.id, now_ms())
