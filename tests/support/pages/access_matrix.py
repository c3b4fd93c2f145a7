"""Reads docs/access-matrix.md, and asks for its routes as each of the persons that it names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from flask import Flask
from werkzeug.test import TestResponse

from tests.support.pages.filled_portal import (
    ADMINISTRATOR,
    OF_SYSADMIN,
    OTHER,
    OWNER,
    SYSADMIN,
    accent_address,
    address_values,
)
from tests.support.web_client import PUBLIC_URL, WebClient, signed_in_client

DOCUMENT = Path(__file__).parents[3] / "docs" / "access-matrix.md"
FORM_TYPE = "application/x-www-form-urlencoded"
PEOPLE = ("", OWNER, OTHER, ADMINISTRATOR, SYSADMIN)
"""In the order of the columns; "" is not signed in."""
_OF_SYSADMINS = "Accounts of system administrators"
_ROW = re.compile(r"\| `(GET|POST) (/[^`]*)` \|((?: [a-z-]+ \|){5})")
_VARIABLE = re.compile(r"<(id:|any\((\w+)[^)]*\):|\w+:)?(\w+)>")
_FIELDS_OF_A_SEND = {"template": "notice"}
_FIELDS: dict[str, dict[str, str]] = {
    "/Admin/Accounts/<id:account_id>/Merge": {"with_id": "2"},
    "/Admin/Sends": _FIELDS_OF_A_SEND,
    "/Admin/Sends/new": _FIELDS_OF_A_SEND,
    "/Admin/Sends/confirm": _FIELDS_OF_A_SEND,
    "/Admin/Sends/Files": _FIELDS_OF_A_SEND,
    "/Admin/Sends/people": _FIELDS_OF_A_SEND | {"people": "everybody"},
    "/Admin/Sends/<id:send_id>/rounds": {"outcome": "unreached", "number": "1"},
    "/Admin/Schedules": _FIELDS_OF_A_SEND,
    "/Admin/Schedules/new": _FIELDS_OF_A_SEND,
    "/Admin/Schedules/<id:schedule_id>": _FIELDS_OF_A_SEND,
    "/Admin/Schedules/<id:schedule_id>/edit": _FIELDS_OF_A_SEND,
}
"""Without these, a form leads nowhere. The others are sent empty."""
_QUERIES = {
    "/Admin/Sends/new": "?template=notice",
    "/Admin/Schedules/new": "?template=notice",
    "/Admin/Audiences/people": "?audience=%7B%22saved_audience%22%3A1%7D",
    "/Admin/Sends/<id:send_id>/people": "?people=everybody",
}


@dataclass(frozen=True)
class MatrixRow:
    """`expected` is what each of `PEOPLE` gets; `is_of_sysadmin`, if the account in the address is that of one."""

    method: str
    rule: str
    expected: tuple[str, ...]
    is_of_sysadmin: bool = False

    def address(self, app: Flask) -> str:
        if self.rule.startswith("/organization/accent-"):
            return accent_address(app)
        values = address_values(self.rule) | (OF_SYSADMIN if self.is_of_sysadmin else {})
        path = _VARIABLE.sub(lambda match: _value(match, values), self.rule)
        return path + _QUERIES.get(self.rule, "")

    @property
    def fields(self) -> dict[str, str]:
        return _FIELDS.get(self.rule, {}) | ({"with_id": "6"} if self.is_of_sysadmin else {})

    def __str__(self) -> str:
        return f"{self.method} {self.rule}{' of a system administrator' if self.is_of_sysadmin else ''}"


def _value(variable: re.Match[str], values: dict[str, str]) -> str:
    """The first of those in the rule, or one that leads to something."""
    converter, first, name = variable.groups()
    return first or (values.get(name, "1") if converter != "id:" or name.endswith("_id") else "1")


def matrix_rows() -> list[MatrixRow]:
    rows, is_of_sysadmin = [], False
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            is_of_sysadmin = line == f"## {_OF_SYSADMINS}"
        elif match := _ROW.fullmatch(line):
            rows.append(MatrixRow(match[1], match[2], tuple(match[3].strip(" |").split(" | ")), is_of_sysadmin))
    return rows


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Method and rule; HEAD and OPTIONS have the answers of the others."""
    for rule in app.url_map.iter_rules():
        yield from ((method, rule.rule) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))


class Requester:
    """Everybody's session, which lasts whatever a request does to it."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._clients = {
            person: signed_in_client(app, person) if person else WebClient(app.test_client()) for person in PEOPLE
        }
        self._tokens = {person: client.csrf_token() for person, client in self._clients.items()}
        self._cookies = {person: dict(client.client._cookies or {}) for person, client in self._clients.items()}

    def ask(self, row: MatrixRow, person: str, **fields: str) -> TestResponse:
        body = urlencode({**row.fields, **fields}).encode() if row.method == "POST" else b""
        return self.send(person, row.method, row.address(self._app), body)

    def send(
        self,
        person: str,
        method: str,
        address: str,
        body: bytes = b"",
        content_type: str = FORM_TYPE,
        headers: Mapping[str, str] = MappingProxyType({}),
        is_chunked: bool = False,
    ) -> TestResponse:
        """The bytes as they are, from an address elsewhere: some pages are for programs on this host."""
        client = self._clients[person].client
        client._cookies = dict(self._cookies[person])
        path, _mark, query = address.partition("?")
        environ: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.9", "QUERY_STRING": query}
        environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
        if is_chunked:
            environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        return client.open(
            "/",
            method=method,
            data=body,
            content_type=content_type,
            base_url=PUBLIC_URL,
            headers={"Referer": f"{PUBLIC_URL}/", "X-CSRFToken": self._tokens[person], **headers},
            environ_overrides=environ,
            buffered=True,
        )


def outcome_of(response: TestResponse) -> str:
    """`broken` is never expected: an error of the portal, or a form that it did not read."""
    if response.status_code == 401 or (response.location or "").startswith("/SignIn?next="):
        return "sign-in"
    outcomes = {403: "refused", 404: "hidden", 400: "broken", 405: "broken", 500: "broken"}
    return outcomes.get(response.status_code, "allowed")
