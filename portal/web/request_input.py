"""Read ids, text and redirect targets from requests, cleaned."""

import re
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.routing import BaseConverter

from portal.core.rules import text_input

_ID = re.compile(r"^[1-9][0-9]{0,17}$")
_UNSAFE_TARGET = re.compile(r"[\x00-\x20\\\x7f-\xa0]")


class IdConverter(BaseConverter):
    """`<id:…>` in an address: a positive whole number of at most 18 digits, which fits in 64 bits."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> Any:
        return int(value)


def init_app(app: Flask) -> None:
    app.url_map.converters["id"] = IdConverter


def query_text(name: str) -> str:
    """A parameter of the query string, as one line of at most 200 characters."""
    return text_input.clean_line(request.args.get(name, "")[:2_000])[:200]


def query_id(name: str) -> int | None:
    return parse_id(request.args.get(name, ""))


def parse_id(text: str) -> int | None:
    return int(text) if _ID.match(text) else None


def parse_version(text: str) -> int:
    """The number of a version, from 0; -1, which is no version, for anything else."""
    return 0 if text == "0" else parse_id(text) or -1


def is_webhook_request() -> bool:
    """Webhooks have no session and no reader; their signature identifies the caller."""
    return request.path.startswith("/webhooks/")


def is_htmx_request() -> bool:
    return request.headers.get("HX-Request") == "true"


def safe_redirect_target(target: str) -> str:
    """The target if it is a safe path of the portal, otherwise the start page.

    Browsers read backslashes as slashes and drop control characters; two slashes at the start would begin a host.
    """
    if not target.startswith("/") or target.startswith("//") or _UNSAFE_TARGET.search(target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target
