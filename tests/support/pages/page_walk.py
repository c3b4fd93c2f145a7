"""Every page of the portal, as one visitor sees it: each address that answers GET, and each form sent without input."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from flask import Flask
from werkzeug.routing import Rule

from portal.web.help.guides import GUIDES
from tests.support.pages.sends_to_show import PAGES_OF_SENDS
from tests.support.web_client import PUBLIC_URL, WebClient

PAGES_FOR_BOTH = (
    "/MyAccount/PhoneNumbers?add=1",
    "/Admin/Sends/new?template=notice",
    "/Admin/Schedules/new?template=notice&when=relative",
    "/Admin/Schedules/2",
    "/Admin/Consent?q=olive",
    "/Admin/Accounts?status=deactivated",
    "/Admin/Accounts/Import/2",
    "/Admin/Accounts/1/Merge?q=1",
    "/Admin/Accounts/1/Merge?with=2",
    "/Admin/Audiences/people?audience=%7B%22saved_audience%22%3A1%7D",
    "/Admin/Audiences/people?audience=%7B%22saved_audience%22%3A99%7D",
    "/nowhere",
    "/Admin/ContentBlocks/invitation.es",
    "/sms/terms",
    "/sms/privacy",
    "/sms/opt-in",
    *(guide.url for guide in GUIDES),
    *PAGES_OF_SENDS,
)
VALUES = {
    "number": "+12025550101",
    "name": "SmsGatewaySettings",
    "key": "sign-in-notice",
    "file_format": "print",
    "_step": "doctor",
    "token": "x",
    "job_id": "drain-sms",
    "filename": "portal.css",
}


class Forms(HTMLParser):
    """The POST forms of a page: action and field values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = attributes.get("method") == "post"
            if self._inside:
                self.forms.append((attributes.get("action", ""), {}))
        elif self._inside and "name" in attributes and tag in ("input", "select", "textarea", "button"):
            hidden = attributes.get("type") == "hidden"
            self.forms[-1][1].setdefault(attributes["name"], attributes.get("value", "") if hidden else "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def visit_every_page(visitor: WebClient, app: Flask, send_forms: bool) -> Iterator[tuple[str, str]]:
    """Address and HTML of every page; then of every form sent without input, which shows its errors."""
    forms: dict[str, dict[str, str]] = {}
    for address in addresses(app):
        response = visitor.get(address)
        response.get_data()  # a streamed response keeps its request open until it is read
        assert response.status_code != 500, address
        if response.mimetype == "text/html" and response.text and response.status_code not in (302, 303, 308):
            yield address, response.text
            forms |= {action or address: fields for action, fields in Forms(response.text).forms}
    for action, fields in forms.items() if send_forms else ():
        if "SignOut" in action or "logout" in action:
            continue
        response = visitor.post_without_token(action.removeprefix(PUBLIC_URL), fields)
        assert response.status_code != 500, action
        if response.mimetype == "text/html" and response.text and response.status_code not in (302, 303):
            yield f"-sent-{action}", response.text


def addresses(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or set()) and rule.endpoint not in ("static", "security.logout"):
            yield _filled(rule)
    yield from PAGES_FOR_BOTH


def _filled(rule: Rule) -> str:
    return re.sub(r"<(\w+:|[^<>]*\):)?(\w+)>", lambda match: _value(match[1] or "", match[2]), rule.rule)


def _value(converter: str, name: str) -> str:
    return "1" if converter == "id:" else VALUES.get(name, "1")
