"""Administration → communications: the search line, its suggestions, and saved searches."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import StringField

from portal.content.tables.templates import current_template_versions
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.keyset import Slice, newest_first
from portal.core.rules import text_input
from portal.core.rules.delivery_status import GROUPS, STATES, StateGroup
from portal.core.translation import N_, lazy_gettext
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Communication
from portal.messages.tables.delivery_counts import channel_state_counts
from portal.records import search_saving
from portal.records.rules import search_line
from portal.records.rules.search_line import InvalidSearch, SearchQuery, Viewer
from portal.records.rules.search_suggestions import Suggestion, unfinished
from portal.records.tables.communication_search import search_page
from portal.records.tables.saved_searches import saved_searches_of
from portal.sends.tables.sends import Send, sends_page
from portal.web.access import allow
from portal.web.base_form import PortalForm
from portal.web.delivery_labels import CHANNEL_LABELS, channel_statuses
from portal.web.layout import is_sms_visible
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.request_input import is_htmx_request, query_id, query_text
from portal.web.time_display import current_time_zone, describe_time

pages = Blueprint("admin_searches", __name__, url_prefix="/Admin/Communications")
PAGE_SIZE = 30
SORTS = (Sort("sent", N_("Sent"), (Communication.id,), descending=True),)
_MAX_TYPED = 2_000
_MEANINGS = {
    "to": N_("The recipient’s name, email address or account number"),
    "template": N_("The key of a template, or words of its name"),
    "status": N_("What became of it"),
    "channel": N_("Email or text"),
    "before": N_("Created before this day"),
    "after": N_("Created on this day or later"),
    "number": N_("The phone number that it was texted to"),
    "send": N_("The number of a send"),
    "code": N_("The error code of a provider or mail server"),
}
_TEXT_PREFIXES = ("channel", "number")
_TEXT_GROUPS = (StateGroup.SKIPPED, StateGroup.NO_RECEIPT, StateGroup.SIMULATED)


@dataclass(frozen=True)
class TypedSearch:
    """A search line as it was typed; without a `query`, the `problem` says why."""

    line: str
    query: SearchQuery | None
    problem: str = ""


@dataclass(frozen=True)
class StatusFilter:
    """A link that narrows the search to a status, or widens it again. `count` is None where no total is kept."""

    label: str
    url: str
    is_current: bool
    count: int | None = None


class SaveSearchForm(PortalForm):
    name = StringField(lazy_gettext("Name of the search"))
    line = StringField(lazy_gettext("Search"))


def render_list() -> ResponseReturnValue:
    """While the user types, htmx requests the same address and gets only the list."""
    search, order = typed_search(), requested_order(*SORTS)
    found: Slice[Communication] = Slice([], False, False)
    if search.query is not None:
        found = search_page(search.query, order.keyset(PAGE_SIZE), is_sms_visible())
    template = "admin/communications/_list.html" if is_htmx_request() else "admin/communications/index.html"
    html = render_template(
        template,
        page=sorted_page(order, found),
        rows=[(item, {status.channel: status for status in channel_statuses(item)}) for item in found.rows],
        is_partial=found.next_after is not None,
        search=search,
        statuses=_status_filters(search),
        channels=_channels(),
        saved=saved_searches_of(current_user.id),
        examples=[(search_line.EXAMPLES[prefix], meaning) for prefix, meaning in prefix_meanings()],
        suggestions=_suggestions(search.line),
    )
    return html, {"Vary": "HX-Request"}


def typed_search() -> TypedSearch:
    """Of the address. Links of earlier versions have filters of their own, which become part of the line."""
    line = text_input.clean_line(request.args.get("q", "")[: 10 * _MAX_TYPED])[:_MAX_TYPED]
    for prefix, value in _earlier_filters().items():
        line = search_line.replace_filter(line, prefix, value) if value else line
    try:
        return TypedSearch(line, search_line.parse_search_line(line, viewer()))
    except InvalidSearch as problem:
        return TypedSearch(line, None, str(problem))


def _earlier_filters() -> dict[str, str]:
    group, channel = query_text("group"), query_text("channel")
    return {
        "status": group if group in GROUPS else "",
        "channel": {"email": "email", "sms": "text"}[channel] if channel in _channels() else "",
        "send": str(query_id("send") or ""),
    }


def viewer() -> Viewer:
    return Viewer(current_time_zone().key, settings().region, now_ms())


def prefix_meanings() -> list[tuple[str, str]]:
    """While texts are hidden, the filters that only texts have are not offered."""
    offered = (prefix for prefix in _MEANINGS if is_sms_visible() or prefix not in _TEXT_PREFIXES)
    return [(prefix, _(_MEANINGS[prefix])) for prefix in offered]


def _channels() -> dict[str, str]:
    return {channel: _(name) for channel, name in CHANNEL_LABELS.items() if channel == "email" or is_sms_visible()}


def _groups() -> list[tuple[str, str]]:
    """While texts are hidden, the states that only texts reach are not offered."""
    hidden = () if is_sms_visible() else _TEXT_GROUPS
    return [(group.value, _(group.label)) for group in StateGroup if group not in hidden]


def _status_filters(search: TypedSearch) -> list[StatusFilter]:
    line, counts = search.line, _status_counts(search.query)
    chosen = search_line.filter_values(line, "status")
    every = StatusFilter(_("Any status"), _search_url(search_line.replace_filter(line, "status")), not chosen)
    groups = [
        StatusFilter(
            label, _search_url(search_line.replace_filter(line, "status", group)), chosen == [group], counts.get(group)
        )
        for group, label in _groups()
    ]
    return [every, *groups]


def _status_counts(query: SearchQuery | None) -> Mapping[str, int]:
    """Deliveries by group, where the kept totals tell them: for a search by no more than send, channel and status."""
    if query is None or not replace(query, groups=(), channels=(), send_ids=()).is_empty:
        return {}
    channels, counts = query.channels or tuple(_channels()), Counter(dict.fromkeys(GROUPS, 0))
    for (channel, state), count in channel_state_counts(query.send_ids).items():
        counts[STATES[state].group] += count if channel in channels else 0
    return counts


def _search_url(line: str) -> str:
    path = url_for("admin_communications.listing")
    return f"{path}?{urlencode({'q': line})}" if line else path


@pages.get("/suggestions")
@allow("admin")
def suggestions() -> str:
    """The options for what has been typed so far, which htmx asks for."""
    typed = request.args.get("q", "")[: search_line.MAX_LENGTH]
    return render_template("admin/communications/_suggestions.html", suggestions=_suggestions(typed))


def _suggestions(line: str) -> list[Suggestion]:
    unfinished_line = unfinished(line)
    if unfinished_line.prefix:
        return unfinished_line.values(_choices(unfinished_line.prefix))
    return unfinished_line.prefixes(prefix_meanings())


def _choices(prefix: str) -> list[tuple[str, str]]:
    """Values of a filter, and what they mean."""
    if prefix == "status":
        return _groups()
    if prefix == "channel":
        return [(name, _(CHANNEL_LABELS[search_line.CHANNELS[name]])) for name in ("email", "text")]
    if prefix in ("before", "after"):
        return [("today", _("Today")), ("yesterday", _("Yesterday"))]
    if prefix == "template":
        return [(version.template.key, version.template.name) for version in current_template_versions()]
    if prefix == "send":
        return [(str(send.id), _send_meaning(send)) for send in sends_page(newest_first(Send.id, 12)).rows]
    return []


def _send_meaning(send: Send) -> str:
    return _("%(name)s, %(when)s", name=send.version.template.name, when=describe_time(send.created_at_ms))


@pages.post("/searches")
@allow("admin")
def save() -> ResponseReturnValue:
    form = SaveSearchForm()
    try:
        search_saving.save_search(current_user.id, form.name.data or "", form.line.data or "", viewer())
    except InvalidInput as error:
        return render_template("admin/communications/save_search.html", form=form.with_errors(error)), 422
    flash(_("The search is saved."))
    return redirect(_search_url(form.line.data), 303)


@pages.post("/searches/<id:search_id>/delete")
@allow("admin")
def delete(search_id: int) -> ResponseReturnValue:
    if not search_saving.delete_saved_search(search_id, current_user.id):
        abort(404)
    flash(_("The search is deleted."))
    return redirect(url_for("admin_communications.listing"), 303)
