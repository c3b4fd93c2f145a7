"""Administration → communications: everything that was sent to everybody, and the story of each."""

from flask import Blueprint, Response, abort, make_response, render_template
from flask.typing import ResponseReturnValue

from portal.clock import now_ms
from portal.context import settings
from portal.domain import markup
from portal.domain.status import GROUPS
from portal.extensions import db
from portal.models import history
from portal.models.communication import Communication
from portal.web.access import allow
from portal.web.delivery_words import CHANNELS, is_settled, statuses, story
from portal.web.headers import MAIL_POLICY
from portal.web.intervals import seconds_until_next_look
from portal.web.layout import sms_shown
from portal.web.paging import page_of
from portal.web.parsing import by_htmx, query_id, query_words

pages = Blueprint("admin_communications", __name__, url_prefix="/Admin/Communications")
_PAGE = 30


@pages.get("")
@allow("admin")
def listing() -> ResponseReturnValue:
    chosen = _filters()
    before = query_id("before")
    narrowed = (chosen["q"], chosen["group"], chosen["channel"], query_id("send"))
    found = history.admin_page(*narrowed, before, _PAGE + 1, sms_shown())
    page = page_of(found, _PAGE, before)
    rows = [(item, {status.channel: status for status in statuses(item)}) for item in page.rows]
    template = "admin/communications/_list.html" if by_htmx() else "admin/communications/index.html"
    text = render_template(template, page=page, rows=rows, chosen=chosen, groups=GROUPS, channels=_channels())
    return text, {"Vary": "HX-Request"}


@pages.get("/<id:communication_id>")
@allow("admin")
def one(communication_id: int) -> str:
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
            body_html=markup.to_html(found.body),
            portal_link=f"{settings().public_url}/c/…",
            organisation=settings().organisation,
        )
    )
    page.headers["Content-Security-Policy"] = MAIL_POLICY
    return page


def _communication(communication_id: int) -> Communication:
    return db.session.get(Communication, communication_id) or abort(404)


def _render(template: str, found: Communication) -> str:
    every = None if is_settled(found) else seconds_until_next_look(now_ms() - found.created_at_ms)
    return render_template(template, communication=found, story=story(found), every=every)


def _filters() -> dict[str, str]:
    """What is asked for; words that are no filter count as none."""
    group, channel = query_words("group"), query_words("channel")
    return {
        "q": query_words("q"),
        "group": group if group in GROUPS else "",
        "channel": channel if channel in _channels() else _only_channel(group),
        "send": str(query_id("send") or ""),
    }


def _only_channel(group: str) -> str:
    """While nothing of SMS shows, a state is asked of the email alone."""
    return "email" if group in GROUPS and not sms_shown() else ""


def _channels() -> dict[str, str]:
    return CHANNELS if sms_shown() else {"email": CHANNELS["email"]}
