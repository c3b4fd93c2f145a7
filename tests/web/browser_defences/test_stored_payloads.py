"""Text that people and machines store is never more than text, on any page, for any reader.

A real browser opens every page that shows stored text. STORED_PAYLOADS=all puts every payload into every text, in about
as many rounds as there are payloads for one cell; by default, each text gets the next twelve.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route
from sqlalchemy import select

from portal.core.extensions import db
from portal.messages.tables.communications import Communication
from tests.support.page_queries import app_transaction
from tests.support.pages.alerts_to_show import add_alerts_to_show
from tests.support.pages.page_data import add_template_draft
from tests.support.pages.page_walk import addresses
from tests.support.pages.sends_to_show import add_sends_to_show
from tests.support.payloads.payload_list import CARRIERS, all_payloads
from tests.support.payloads.payload_storage import PayloadSource, store_everywhere
from tests.support.web_client import NOW_MS, PUBLIC_URL, WebClient

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3_600 if os.environ.get("STORED_PAYLOADS") == "all" else 300)]
IS_COMPLETE = os.environ.get("STORED_PAYLOADS") == "all"
REFLECTED = "".join(CARRIERS[:8]).replace("@", "9999")
QUERY = "&".join(f"{name}={quote(REFLECTED)}" for name in ("q", "search", "status", "type", "next", "from", "show"))
NOT_FOR_PEOPLE = re.compile(r"/static|/metrics|/readyz|/healthz|/styleguide|/Help|.*\.(?:csv|zip|css|webp)$|.*/file$")
IS_LIST = re.compile(r'method="get"|type="search"|aria-sort')
MAIN = re.compile(r"<main.*</main>", re.DOTALL)
TOKEN = re.compile(r'name="csrf_token" value="[^"]+"')
FIND_CODE = """() => {
    const foreign = ["script", "style", "base", "object", "embed", "math", "meta[http-equiv]", "link", "iframe"]
    const words = /^(?:value|title|placeholder|content|alt|aria-.*|data-.*)$/
    const address = /^[\\s\\0-\\x1f]*(?:javascript|vbscript|data:text|js:)/i
    const isCode = ({ name, value }) => /^on|^srcdoc$|^style$|hx-on/i.test(name) && value.includes("canary")
        || !words.test(name) && address.test(value)
    const found = [...document.querySelectorAll("*")].filter((element) =>
        [...element.attributes].some(isCode)
        || element.matches("[hx-get^='/canary'], [data-hx-get], [src*='canary'], form[action*='canary']")
        || foreign.some((tag) => element.matches(tag)) && element.outerHTML.includes("canary"))
    return [found.map((element) => element.outerHTML.slice(0, 200)), document.body.textContent.includes("canary")]
}"""
"""Elements and attributes that hold code of a payload, and whether the page shows a payload as text."""


@dataclass
class PayloadReader:
    """Opens pages as somebody, and notes whatever a payload does."""

    person: WebClient
    page: Page
    seen: set[int]
    """Hashes of what somebody has opened."""
    problems: list[str] = field(default_factory=list)
    opened: int = 0
    with_payload: int = 0
    _known: dict[str, tuple[dict[str, str], bytes]] = field(default_factory=dict)

    def watch(self, context: BrowserContext) -> None:
        context.expose_binding("canary", lambda _source, *number: self._note(f"ran {number}"))
        context.add_init_script("window.alert = window.confirm = window.prompt = window.print = window.canary")
        context.route("**/*", self._serve)
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self._note(f"error: {error}"))

    def open_with_search(self, address: str) -> None:
        """A list also with a search that finds nothing, which repeats what somebody typed."""
        if IS_LIST.search(self.open(address)) and "?" not in address:
            self.open(f"{address}?{QUERY}")

    def open(self, address: str) -> str:
        """Returns the HTML."""
        response = self.person.get(address)
        if response.status_code >= 500:
            self.problems.append(f"{address}: {response.status_code}")
        if response.status_code < 300 and response.mimetype == "text/html" and self._is_new(address, response.text):
            self._known[address] = dict(response.headers), response.data
            self.page.goto(f"{PUBLIC_URL}{address}", wait_until="load")
            self.opened += 1
            code, shows_payload = self.page.evaluate(FIND_CODE)
            self.with_payload += shows_payload
            self.problems += [f"{address}: {element}" for element in code]
        return response.text if response.mimetype == "text/html" else ""

    def _is_new(self, address: str, html: str) -> bool:
        """Whether it shows a payload, for a search one of its own, and nobody has opened the same."""
        main = TOKEN.sub("", (MAIN.search(html) or [html])[0])
        is_new = ("9999" if QUERY in address else "canary") in html and hash(main) not in self.seen
        self.seen.add(hash(main))
        return is_new

    def _serve(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if f"{url.scheme}://{url.netloc}" != PUBLIC_URL or url.path.startswith(("/canary", "/csp-reports")):
            self._note(f"asked for {route.request.url[:200]}")
            route.abort()
            return
        path = f"{url.path}?{url.query}" if url.query else url.path
        if path not in self._known:
            response = self.person.get(path)
            self._known[path] = dict(response.headers), response.data
        headers, body = self._known[path] if path.startswith("/static/") else self._known.pop(path)
        dropped = {"Set-Cookie", "Content-Length"} | ({"Content-Security-Policy"} if self._is_email(route) else set())
        route.fulfill(headers={name: value for name, value in headers.items() if name not in dropped}, body=body)

    def _is_email(self, route: Route) -> bool:
        """An email that is opened outside its frame is read without its policy, as mail programs do."""
        return route.request.frame.parent_frame is None and urlsplit(route.request.url).path.endswith("/email")

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._note(f"console: {message.text[:300]}")

    def _note(self, event: str) -> None:
        self.problems.append(f"{urlsplit(self.page.url).path}: {event}")


@pytest.fixture
def payload_app(web_app: Flask, unknown_text_id: int, recipient_file: int) -> Flask:
    """A portal with something on every page."""
    add_template_draft(web_app)
    with app_transaction(web_app):
        add_sends_to_show()
        add_alerts_to_show()
    return web_app


@pytest.fixture
def readers(
    chromium: Browser, number_owner: WebClient, admin: WebClient, sysadmin: WebClient
) -> Iterator[dict[str, PayloadReader]]:
    contexts, readers, seen = list[BrowserContext](), dict[str, PayloadReader](), set[int]()
    for role, person in {"user": number_owner, "sysadmin": sysadmin, "admin": admin}.items():
        contexts.append(chromium.new_context())
        readers[role] = PayloadReader(person, contexts[-1].new_page(), seen)
        readers[role].watch(contexts[-1])
    yield readers
    for context in contexts:
        context.close()


def test_there_are_more_than_500_different_payloads() -> None:
    assert len(set(all_payloads())) == len(all_payloads()) > 500


def test_stored_text_never_runs_loads_or_becomes_markup(payload_app: Flask, readers: dict[str, PayloadReader]) -> None:
    source = PayloadSource(65 if IS_COMPLETE else 12)
    for round_number in range(source.rounds if IS_COMPLETE else 1):
        with payload_app.app_context():
            store_everywhere(source, NOW_MS + 10 * round_number)
        for reader in readers.values():
            for address in shown_addresses(payload_app):
                reader.open_with_search(address)
    for role, reader in readers.items():
        print(f"{role}: {reader.opened} pages opened, {reader.with_payload} with payloads as text")
        assert reader.problems == [], role
    assert readers["sysadmin"].with_payload > 100


def shown_addresses(app: Flask) -> Iterator[str]:
    """Every page, and what the latest send has made."""
    yield from (address for address in addresses(app) if not NOT_FOR_PEOPLE.match(address))
    with app.app_context():
        yield from latest_messages()


def latest_messages() -> list[str]:
    newest = db.session.scalars(select(Communication.id).order_by(Communication.id.desc()).limit(2)).all()
    places = ("/Admin/Communications/{}", "/Admin/Communications/{}/email", "/MyAccount/CommunicationsHistory/{}")
    return [place.format(number) for number in newest for place in places]
