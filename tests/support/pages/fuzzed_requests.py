"""Random requests to any route: as any person, with random paths, queries, headers, encodings and fields."""

import html
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit

from flask import Flask
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from tests.support.pages.access_matrix import PEOPLE, MatrixRow, Requester
from tests.support.pages.filled_portal import ADMINISTRATOR, OWNER, SYSADMIN
from tests.support.pages.fuzzed_values import (
    CONTENT_TYPES,
    HEADERS,
    NASTY,
    QUERY_NAMES,
    WEBHOOK_NAMES,
    WEBHOOK_VALUES,
)
from tests.support.pages.page_walk import Forms
from tests.support.web_client import AUTH_TOKEN, PUBLIC_URL

_SENDERS = (*PEOPLE, OWNER, ADMINISTRATOR, *[SYSADMIN] * 4)
"""Those who may do more, more often."""
_LINK, _INPUT = re.compile(r'href="(/[^"]*\?[^"]+)"'), re.compile(r'<(?:input|select)[^>]* name="([^"]+)"')
BOUNDARY = "boundary-of-fuzzed-fields"
Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class FuzzedRequest:
    """`person` is one of `PEOPLE`; `is_signed`, if Twilio's token signed it."""

    person: str
    method: str
    address: str
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_chunked: bool = False
    is_signed: bool = False


texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=40))


class KnownRoutes:
    """The routes, what pages send to each of them, and whom the access matrix keeps away."""

    def __init__(self, app: Flask, requester: Requester, rows: Sequence[MatrixRow]) -> None:
        self.rows, self._adapter = rows, app.url_map.bind("")
        self._rows_by_route = {(row.method, row.rule): row for row in rows if not row.is_of_sysadmin}
        self._fields: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for row in (row for row in rows if row.method == "GET"):
            person = next((who for who in reversed(PEOPLE) if row.expected[PEOPLE.index(who)] == "allowed"), "")
            self._learn_fields(row.address(app), requester.ask(row, person))

    def fields_of(self, row: MatrixRow) -> dict[str, str]:
        """Names and present values."""
        return self._fields.get((row.method, row.rule), {}) | row.fields

    def is_closed_to(self, request: FuzzedRequest) -> bool:
        """Whatever object the address names. Also, if there is nothing at the address."""
        if request.address.startswith("/webhooks/"):
            return not request.is_signed
        row = self._row_of(request.address, request.method.replace("HEAD", "GET"))
        if row is None:
            return True
        expected = dict(zip(PEOPLE, row.expected, strict=True))
        is_by_role = not request.person or expected[OWNER] != "allowed"
        return is_by_role and expected[request.person] != "allowed"

    def _row_of(self, address: str, method: str) -> MatrixRow | None:
        path = unquote_to_bytes(urlsplit(address).path).decode("utf-8", "replace")
        try:
            rule, _values = self._adapter.match(path, method, return_rule=True)
        except HTTPException:
            return None
        return self._rows_by_route[method, rule.rule]

    def _learn_fields(self, address: str, response: TestResponse) -> None:
        page = response.text if response.mimetype == "text/html" else ""
        forms = Forms(page).forms
        everything = {name: value for _action, fields in forms for name, value in fields.items()}
        buttons = [(html.unescape(action), everything) for action in re.findall(r'formaction="([^"]+)"', page)]
        links = [(link, dict(parse_qsl(urlsplit(link).query))) for link in map(html.unescape, _LINK.findall(page))]
        inputs = [(address, dict.fromkeys(_INPUT.findall(page), ""))]
        for method, places in (("POST", [*forms, *buttons]), ("GET", [*links, *inputs])):
            for place, fields in places:
                if row := self._row_of(place or address, method):
                    self._fields[row.method, row.rule] |= fields


@st.composite
def page_requests(draw: Any, app: Flask, routes: KnownRoutes) -> FuzzedRequest:
    row: MatrixRow = draw(st.sampled_from(routes.rows))
    person = draw(st.sampled_from(_SENDERS))
    address = draw(_addresses(app, row, routes.fields_of(row) if row.method == "GET" else {}))
    headers = draw(_headers())
    if row.method == "GET":
        return FuzzedRequest(person, draw(st.sampled_from(("GET", "GET", "HEAD"))), address, headers=headers)
    fields = draw(_fields(routes.fields_of(row)))
    content_type, body = draw(_bodies(fields))
    return FuzzedRequest(person, "POST", address, body, content_type, headers, draw(st.booleans()))


@st.composite
def webhook_requests(draw: Any) -> FuzzedRequest:
    path = draw(st.sampled_from(["status", "status", "inbound", "inbound", "check", "status/", "x"]))
    address = f"/webhooks/twilio/{path}" + draw(
        st.sampled_from(["", "?attempt=attempt-1", "?attempt=%00%ff", "?attempt="])
    )
    values = st.one_of(st.sampled_from(WEBHOOK_VALUES), texts)
    fields = draw(st.dictionaries(st.one_of(st.sampled_from(WEBHOOK_NAMES), texts), values, max_size=9))
    headers = draw(_headers())
    if draw(st.booleans()):
        content_type, body = draw(_bodies(list(fields.items())))
        return FuzzedRequest("", "POST", address, body, content_type, headers, draw(st.booleans()))
    received = {_received(name): _received(value) for name, value in fields.items()}
    signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + address, received)
    headers = {**headers, "X-Twilio-Signature": signature}
    headers.pop("X-Twilio-Webhooks-Signature-Settings", None)
    body = urlencoded(list(fields.items()))
    return FuzzedRequest("", "POST", address, body, "application/x-www-form-urlencoded", headers, is_signed=True)


@st.composite
def _addresses(draw: Any, app: Flask, row: MatrixRow, known: Mapping[str, str]) -> str:
    address = row.address(app)
    if draw(st.integers(0, 7)) == 7:
        *folder, last = address.partition("?")[0].split("/")
        address = "/".join([*folder, draw(st.sampled_from([last, _quoted(draw(texts)), "%00", "%ff", "99", "9" * 30]))])
    if draw(st.booleans()):
        query = urlencoded(draw(_fields(known))).decode()
        address = f"{address.partition('?')[0]}?{query}"
    return address


@st.composite
def _headers(draw: Any) -> dict[str, str]:
    names = draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=2, unique=True))
    return {name: draw(st.sampled_from(HEADERS[name])) for name in names}


@st.composite
def _fields(draw: Any, known: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each field of the form as it is on the page, with another value, twice, or not at all; and some more."""
    fields: list[tuple[str, str]] = []
    for name, value in known.items():
        if name == "csrf_token":
            continue  # which is sent as a header, whatever the body is
        kind = draw(st.integers(0, 9))
        if kind < 4:
            fields.append((name, value))
        elif kind < 9:
            fields.append((name, draw(texts)))
            if kind == 8:
                fields.append((name, draw(texts)))
    more = st.tuples(st.one_of(st.sampled_from(QUERY_NAMES), texts), texts)
    fields += draw(st.lists(more, max_size=3))
    return fields


@st.composite
def _bodies(draw: Any, fields: Fields) -> tuple[str, bytes]:
    """The content type and the bytes."""
    kind = draw(st.integers(0, 9))
    if kind < 6:
        return "application/x-www-form-urlencoded", urlencoded(fields)
    if kind < 8:
        as_files = draw(st.lists(st.booleans(), min_size=len(fields), max_size=len(fields)))
        return f"multipart/form-data; boundary={BOUNDARY}", _multipart(fields, as_files)
    if kind == 8:
        values: Any = draw(st.sampled_from([dict(fields), [dict(fields)], {name: [value] for name, value in fields}]))
        return "application/json", json.dumps(values).encode()
    return draw(st.sampled_from(CONTENT_TYPES)), draw(st.one_of(st.binary(max_size=200), st.just(urlencoded(fields))))


def urlencoded(fields: Fields) -> bytes:
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in fields).encode()


def _multipart(fields: Fields, as_files: Sequence[bool]) -> bytes:
    parts = []
    for (name, value), is_file in zip(fields, as_files, strict=True):
        file_name = '; filename="f\xff.csv"\r\nContent-Type: text/csv' if is_file else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{_quoted(name)}"{file_name}\r\n\r\n'
        parts.append(head.encode("latin-1") + value.encode("utf-8", "surrogatepass") + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _received(text: str) -> str:
    """As the portal reads it: what is no UTF-8 becomes replacement characters."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
