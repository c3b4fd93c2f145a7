"""My account → Communications History: what I got, newest first, and each in full."""

from flask import Blueprint, abort, render_template, request
from flask_security import current_user

from portal.actions.communications import mark_read
from portal.clock import now_ms
from portal.models import history
from portal.models.communication import Communication
from portal.web.access import allow
from portal.web.delivery_words import own_statuses
from portal.web.layout import sms_shown
from portal.web.paging import page_of
from portal.web.parsing import query_id

pages = Blueprint("my_history", __name__, url_prefix="/MyAccount/CommunicationsHistory")
_PAGE = 25


@pages.get("")
@allow("user")
def listing() -> str:
    before = query_id("before")
    page = page_of(history.own_page(current_user.id, before, _PAGE + 1, sms_shown()), _PAGE, before)
    return render_template("my_account/history.html", page=page)


@pages.get("/<id:communication_id>")
@allow("user")
def one(communication_id: int) -> str:
    found = history.of_account(communication_id, current_user.id)
    if found is None:
        abort(404)
    _note_visit(found)
    return render_template("my_account/communication.html", communication=found, statuses=own_statuses(found))


def _note_visit(communication: Communication) -> None:
    """A real visit only: browsers that fetch ahead say so."""
    ahead = "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
    if request.method == "GET" and communication.read_at_ms is None and not ahead:
        mark_read(communication.id, current_user.id, now_ms())
