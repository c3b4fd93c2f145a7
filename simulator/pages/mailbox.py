"""The mailbox: every email that the SMTP server accepted, for any recipient."""

import re
from typing import Any

from aiohttp import web

from simulator.email.email_parsing import Email, EmailParts, email_parts
from simulator.pages.page_rendering import fragment, page, page_number
from simulator.state import STATE

_EMAILS_PER_PAGE = 50
_EMAIL_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; "
    "base-uri 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
_OPEN_LINKS_IN_NEW_TAB = '<base target="_blank">'


async def show_mailbox(request: web.Request) -> web.Response:
    return page("mailbox.html", **_email_list(request))


async def mailbox_fragment(request: web.Request) -> web.Response:
    return fragment(request, request.app[STATE].store.etag, "_emails.html", lambda: _email_list(request))


def _email_list(request: web.Request) -> dict[str, Any]:
    search, number = request.query.get("to", "").strip(), page_number(request)
    matches = [email for email in reversed(request.app[STATE].store.emails) if _matches(email, search)]
    emails = matches[(number - 1) * _EMAILS_PER_PAGE : number * _EMAILS_PER_PAGE]
    has_more = number * _EMAILS_PER_PAGE < len(matches)
    return {"emails": emails, "total": len(matches), "to": search, "page": number, "has_more": has_more}


def _matches(email: Email, search: str) -> bool:
    return not search or any(search.lower() in address.lower() for address in email.recipients)


async def show_email(request: web.Request) -> web.Response:
    email = _requested_email(request)
    return page("email.html", email=email, parts=_parts(request, email))


async def email_html(request: web.Request) -> web.Response:
    """The HTML part, isolated: no scripts, no external resources, and links open in a new tab."""
    html = _parts(request, _requested_email(request)).html
    if html is None:
        raise web.HTTPNotFound(text="This email has no HTML part.")
    head = _HEAD.search(html)
    index = head.end() if head else 0
    text = html[:index] + _OPEN_LINKS_IN_NEW_TAB + html[index:]
    headers = {"Content-Security-Policy": _EMAIL_CONTENT_SECURITY_POLICY}
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)


async def email_source(request: web.Request) -> web.Response:
    raw = request.app[STATE].store.raw_email(_requested_email(request).id)
    return web.Response(body=raw, content_type="text/plain", charset="utf-8")


def _requested_email(request: web.Request) -> Email:
    text, emails = request.match_info["id"], request.app[STATE].store.emails
    if not text.isdecimal() or not 1 <= int(text) <= len(emails):
        raise web.HTTPNotFound(text="There is no such email. See /mailbox for all emails.")
    return emails[int(text) - 1]


def _parts(request: web.Request, email: Email) -> EmailParts:
    return email_parts(request.app[STATE].store.raw_email(email.id))
