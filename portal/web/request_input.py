"""Read ids and text from requests, cleaned for the database."""

import re
from typing import Any

from flask import Flask, request
from werkzeug.routing import BaseConverter

from portal.core.rules import text_input

_ID = re.compile(r"^[1-9][0-9]{0,17}$")


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


def is_htmx_request() -> bool:
    return request.headers.get("HX-Request") == "true"
