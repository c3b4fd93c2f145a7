"""My account → Communications History: search it, print it, and read each communication in full."""

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField

from portal.consent.tables.ledger import has_consented_for_all_numbers
from portal.core.clock import now_ms
from portal.core.rules.time_format import format_local, start_of_day_ms
from portal.messages.read_marks import mark_read
from portal.messages.tables import communication_history
from portal.messages.tables.communications import Communication
from portal.records import own_history
from portal.records.tables import person_history
from portal.records.tables.person_history import HistoryFilter
from portal.web.access import allow
from portal.web.account.reach_labels import describe_reach
from portal.web.base_form import PortalForm
from portal.web.delivery_labels import channel_statuses_for_owner
from portal.web.layout import is_sms_visible
from portal.web.organisation_files import page_organisation
from portal.web.paging import paginate
from portal.web.request_input import is_htmx_request, parse_id, query_id, query_text
from portal.web.time_display import current_time_zone

pages = Blueprint("my_history", __name__, url_prefix="/MyAccount/CommunicationsHistory")
_PAGE_SIZE = 25
_PRINTED = 500


class ReadForm(PortalForm):
    """`through` is the newest communication that the page showed."""

    through = HiddenField(filters=[parse_id])


@pages.get("")
@allow("user")
def listing() -> ResponseReturnValue:
    before, filters = query_id("before"), _filters()
    rows = person_history.history_page(*_criteria(filters), before, _PAGE_SIZE + 1, is_sms_visible())
    template = "my_account/_history_list.html" if is_htmx_request() else "my_account/history.html"
    page = render_template(
        template,
        page=paginate(rows, _PAGE_SIZE, before),
        filters=filters,
        args={name: value for name, value in filters.items() if value},
        years=_years(),
        templates={str(row.id): row.name for row in person_history.recent_templates(current_user.id)},
        **_reach(),
    )
    return page, {"Vary": "HX-Request"}


@pages.get("/print")
@allow("user")
def print_list() -> str:
    """The newest 500 that match, for paper."""
    filters, zone = _filters(), current_time_zone().key
    rows = person_history.history_page(*_criteria(filters), None, _PRINTED + 1, is_sms_visible())
    return render_template(
        "my_account/print.html",
        rows=rows[:_PRINTED],
        is_cut=len(rows) > _PRINTED,
        limit=_PRINTED,
        organisation=page_organisation().name,
        local_time=lambda at_ms: format_local(at_ms, zone),
        **_reach(),
    )


@pages.post("/read")
@allow("user")
def mark_all_read() -> ResponseReturnValue:
    if through_id := ReadForm().through.data:
        own_history.mark_all_read(current_user.id, through_id, is_sms_visible(), now_ms())
    return redirect(url_for(".listing"), 303)


@pages.get("/<id:communication_id>")
@allow("user")
def show(communication_id: int) -> str:
    communication = communication_history.find_for_account(communication_id, current_user.id) or abort(404)
    _mark_read_on_visit(communication)
    statuses = channel_statuses_for_owner(communication)
    return render_template("my_account/communication.html", communication=communication, statuses=statuses, **_reach())


def _mark_read_on_visit(communication: Communication) -> None:
    """Ignore prefetching, which browsers announce in a header."""
    is_prefetch = "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))
    if request.method == "GET" and communication.opened_at_ms is None and not is_prefetch:
        mark_read(communication.id, current_user.id, now_ms())


def _reach() -> dict[str, Any]:
    has_consented = has_consented_for_all_numbers(current_user.id)
    return {"reach": lambda communication: describe_reach(communication, has_consented)}


def _filters() -> dict[str, str]:
    """Unknown values are ignored."""
    year, show_only = query_text("year"), query_text("show")
    return {
        "q": query_text("q"),
        "show": show_only if show_only == "unread" else "",
        "year": year if year in _years() else "",
        "template": str(query_id("template") or ""),
    }


def _criteria(filters: dict[str, str]) -> tuple[int, HistoryFilter]:
    since_ms, until_ms = _year_bounds(filters["year"])
    template_id = int(filters["template"]) if filters["template"] else None
    return current_user.id, HistoryFilter(filters["q"], filters["show"] == "unread", since_ms, until_ms, template_id)


def _years() -> dict[str, str]:
    """Those with communications at both ends, and all between; newest first."""
    span = person_history.first_and_last_ms(current_user.id)
    if span is None:
        return {}
    first, last = sorted(int(format_local(at_ms, current_time_zone().key)[:4]) for at_ms in span)
    return {str(year): str(year) for year in range(last, first - 1, -1)}


def _year_bounds(year: str) -> tuple[int | None, int | None]:
    if not year:
        return None, None
    zone = current_time_zone().key
    return start_of_day_ms(f"{year}-01-01", zone), start_of_day_ms(f"{int(year) + 1}-01-01", zone)
