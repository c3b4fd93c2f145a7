"""Render templates, with the filters they use."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from simulator.number_formats import format_phone_number

STATIC = Path(__file__).parent.parent / "static"
_TEMPLATES = Path(__file__).parent.parent / "templates"
_LINK = re.compile(r"https?://[^\s<>\"']+")
_TRAILING_PUNCTUATION = ".,;:!?)"  # ends the sentence, not the URL


def with_links(text: str) -> Markup:
    """Escape the text and turn its URLs into links."""
    result, end = Markup(""), 0
    for match in _LINK.finditer(text):
        url = match.group().rstrip(_TRAILING_PUNCTUATION)
        result += escape(text[end : match.start()])
        result += Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>').format(url)
        end = match.start() + len(url)
    return result + escape(text[end:])


def as_time(at_ms: int) -> Markup:
    """Render a time in UTC. The page's script converts it to the reader's time zone."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), at.strftime("%d %B %Y, %H:%M:%S UTC"), at.strftime("%H:%M UTC")
    )


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    with_links=with_links, as_time=as_time, phone_number=format_phone_number, with_separators="{:,}".format
)


def page(template: str, status: int = 200, **values: Any) -> web.Response:
    text = _ENVIRONMENT.get_template(template).render(**values)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def fragment(request: web.Request, etag: str, template: str, values: Callable[[], dict[str, Any]]) -> web.Response:
    """A part of a page. If the ETag matches, the response is a 304 and `values` is not called."""
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    response = page(template, **values())
    response.headers["ETag"] = etag
    return response


def page_number(request: web.Request) -> int:
    text = request.query.get("page", "1")
    return int(text) if text.isdecimal() and 1 <= int(text) <= 1_000_000 else 1
