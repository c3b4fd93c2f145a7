"""Administration → communications: everything that was sent to everybody, and the story of each."""

from flask import Blueprint, Response, abort, make_response, render_template
from flask.typing import ResponseReturnValue

from portal.content.rules import markdown
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import GROUPS
from portal.messages.tables import communication_history
from portal.messages.tables.communications import Communication
from portal.web.access import allow
from portal.web.delivery_labels import CHANNEL_LABELS, build_timeline, channel_statuses, is_final
from portal.web.layout import is_sms_visible
from portal.web.paging import paginate
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request, query_id, query_text
from portal.web.security_headers import EMAIL_PREVIEW_POLICY

pages = Blueprint("admin_communications", __name__, url_prefix="/Admin/Communications")
_PAGE_SIZE = 30


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    filters = _filters()
    before = query_id("before")
    narrowed = (filters["q"], filters["group"], filters["channel"], query_id("send"))
    found = communication_history.admin_page(*narrowed, before, _PAGE_SIZE + 1, is_sms_visible())
    page = paginate(found, _PAGE_SIZE, before)
    rows = [(item, {status.channel: status for status in channel_statuses(item)}) for item in page.rows]
    template = "admin/communications/_list.html" if is_htmx_request() else "admin/communications/index.html"
    text = render_template(template, page=page, rows=rows, filters=filters, groups=GROUPS, channels=_channels())
    return text, {"Vary": "HX-Request"}


@pages.get("/<id:communication_id>")
@allow("admin")
def show(communication_id: int) -> str:
    return _render("admin/communications/one.html", _communication(communication_id))


@pages.get("/<id:communication_id>/story")
@allow("admin")
def timeline(communication_id: int) -> str:
    return _render("admin/communications/_story.html", _communication(communication_id))


@pages.get("/<id:communication_id>/email")
@allow("admin")
def email(communication_id: int) -> Response:
    """The mail as a mail reader shows it, for a frame: its own policy lets its styles in and nothing else."""
    found = _communication(communication_id)
    page = make_response(
        render_template(
            "email/notification.html",
            subject=found.subject,
            body_html=markdown.to_html(found.body),
            portal_link=f"{settings().public_url}/c/…",
            organisation=settings().organisation,
        )
    )
    page.headers["Content-Security-Policy"] = EMAIL_PREVIEW_POLICY
    return page


def _communication(communication_id: int) -> Communication:
    return db.session.get(Communication, communication_id) or abort(404)


def _render(template: str, found: Communication) -> str:
    poll_seconds = None if is_final(found) else poll_interval_seconds(now_ms() - found.created_at_ms)
    return render_template(template, communication=found, timeline=build_timeline(found), poll_seconds=poll_seconds)


def _filters() -> dict[str, str]:
    """What is asked for; words that are no filter count as none."""
    group, channel = query_text("group"), query_text("channel")
    return {
        "q": query_text("q"),
        "group": group if group in GROUPS else "",
        "channel": channel if channel in _channels() else _implied_channel(group),
        "send": str(query_id("send") or ""),
    }


def _implied_channel(group: str) -> str:
    """While nothing of SMS shows, a state is asked of the email alone."""
    return "email" if group in GROUPS and not is_sms_visible() else ""


def _channels() -> dict[str, str]:
    return CHANNEL_LABELS if is_sms_visible() else {"email": CHANNEL_LABELS["email"]}
