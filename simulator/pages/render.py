"""Templates, and the small filters they need."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from simulator.numbers import friendly

STATIC = Path(__file__).parent.parent / "static"
_TEMPLATES = Path(__file__).parent.parent / "templates"
_LINK = re.compile(r"https?://[^\s<>\"']+")
_AFTER_A_LINK = ".,;:!?)"  # belongs to the sentence, not to the address


def with_links(text: str) -> Markup:
    """The text escaped, with its web addresses as links."""
    result, place = Markup(""), 0
    for found in _LINK.finditer(text):
        url = found.group().rstrip(_AFTER_A_LINK)
        result += escape(text[place : found.start()])
        result += Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>').format(url)
        place = found.start() + len(url)
    return result + escape(text[place:])


def as_time(at_ms: int) -> Markup:
    """In UTC here; the page's script turns it into the reader's own time."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), at.strftime("%d %B %Y, %H:%M:%S UTC"), at.strftime("%H:%M UTC")
    )


def grouped(number: int) -> str:
    return f"{number:,}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(with_links=with_links, as_time=as_time, friendly=friendly, grouped=grouped)
    return environment


_PAGES = _environment()


def page(template: str, status: int = 200, **values: Any) -> web.Response:
    text = _PAGES.get_template(template).render(**values)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def fragment(request: web.Request, etag: str, template: str, values: Callable[[], dict[str, Any]]) -> web.Response:
    """A piece of a page; 304 as long as nothing changed, and then `values` is not even asked."""
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    response = page(template, **values())
    response.headers["ETag"] = etag
    return response


def page_number(request: web.Request) -> int:
    text = request.query.get("page", "1")
    return int(text) if text.isdecimal() and 1 <= int(text) <= 1_000_000 else 1
