"""The mailbox: every mail the product handed over by SMTP, to whomever."""

import re
from typing import Any

from aiohttp import web

from simulator.mail import Mail, MailParts, parts_of
from simulator.pages.render import fragment, page, page_number
from simulator.world import WORLD

_PER_PAGE = 50
_MAIL_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; "
    "base-uri 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
_NEW_TAB = '<base target="_blank">'


async def show_mailbox(request: web.Request) -> web.Response:
    return page("mailbox.html", **_list(request))


async def mailbox_fragment(request: web.Request) -> web.Response:
    return fragment(request, request.app[WORLD].store.etag, "_mails.html", lambda: _list(request))


def _list(request: web.Request) -> dict[str, Any]:
    wanted, number = request.query.get("to", "").strip(), page_number(request)
    mails = [mail for mail in reversed(request.app[WORLD].store.mails) if _is_to(mail, wanted)]
    shown = mails[(number - 1) * _PER_PAGE : number * _PER_PAGE]
    has_more = number * _PER_PAGE < len(mails)
    return {"mails": shown, "total": len(mails), "to": wanted, "page": number, "has_more": has_more}


def _is_to(mail: Mail, wanted: str) -> bool:
    return not wanted or any(wanted.lower() in address.lower() for address in mail.recipients)


async def show_mail(request: web.Request) -> web.Response:
    mail = _mail(request)
    return page("mail.html", mail=mail, parts=_parts(request, mail))


async def mail_html(request: web.Request) -> web.Response:
    """Its own small world: no scripts, nothing fetched, links open in a new tab."""
    html = _parts(request, _mail(request)).html
    if html is None:
        raise web.HTTPNotFound(text="This mail has no HTML part.")
    found = _HEAD.search(html)
    place = found.end() if found else 0
    text = html[:place] + _NEW_TAB + html[place:]
    headers = {"Content-Security-Policy": _MAIL_POLICY}
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)


async def mail_raw(request: web.Request) -> web.Response:
    raw = request.app[WORLD].store.raw_mail(_mail(request).id) or b""
    return web.Response(body=raw, content_type="text/plain", charset="utf-8")


def _mail(request: web.Request) -> Mail:
    text, mails = request.match_info["id"], request.app[WORLD].store.mails
    if not text.isdecimal() or not 1 <= int(text) <= len(mails):
        raise web.HTTPNotFound(text="There is no such mail. The mailbox is at /mailbox.")
    return mails[int(text) - 1]


def _parts(request: web.Request, mail: Mail) -> MailParts:
    return parts_of(request.app[WORLD].store.raw_mail(mail.id) or b"")
