"""Every page fits every screen and is accessible: sizes, zoom, both looks, forced colors, keyboard and print.

A real browser gets the HTML of each page with its style sheets and without scripts, hence without any request. axe
examines what each page adds in one look; the frame and all components, on the style guide, in every look.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import cycle
from typing import Any, Literal

import pytest
from flask import Flask
from playwright.sync_api import Browser, CDPSession, Page

from portal.consent import background_imports
from portal.consent.tables.import_tasks import ImportTaskKind
from portal.core.actor import SHELL_ACTOR
from tests.support.authentication.second_factor_pages import show_second_factors
from tests.support.page_queries import app_transaction
from tests.support.pages.alerts_to_show import add_alerts_to_show
from tests.support.pages.page_data import add_template_draft
from tests.support.pages.page_walk import addresses
from tests.support.pages.sends_to_show import add_sends_to_show
from tests.support.servers import ROOT
from tests.support.web_client import NOW_MS, WebClient

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
WIDTHS = (320, 390, 640, 768, 1280, 1920)
"""At 200 % zoom, a window 1280 wide lays its pages out like one 640 wide."""
Look = tuple[int, Literal["light", "dark"]]
LOOKS: tuple[Look, ...] = ((1280, "light"), (390, "dark"), (390, "light"), (1280, "dark"))
MAX_BAR_HEIGHT = 64
STYLES = "".join((ROOT / "portal/static" / name).read_text("utf-8") for name in ("tokens.css", "portal.css"))
AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
AXE_OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
RUN_AXE = "([part, options]) => axe.run(part, options)"
MEASURE = """() => ({
    overflow: document.documentElement.scrollWidth - innerWidth,
    bar: document.querySelector(".bar")?.offsetHeight ?? 0,
})"""
FOCUS = """() => {
    const style = getComputedStyle(document.activeElement)
    const hasRing = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
    return [document.activeElement.outerHTML.slice(0, 80), hasRing]
}"""
_SCRIPTS_AND_LINKS = re.compile(r"<script\b.*?</script>|<link\b[^>]*>|<iframe\b.*?</iframe>", re.DOTALL)


@dataclass
class Screen:
    """A browser window that shows HTML."""

    page: Page
    session: CDPSession

    def show(self, html: str) -> None:
        self.page.set_content(_SCRIPTS_AND_LINKS.sub("", html).replace("</head>", f"<style>{STYLES}</style></head>"))

    def resize(self, width: int) -> None:
        """Without a wait for the window, of which there is none."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.session.send("Emulation.setDeviceMetricsOverride", metrics)

    def problems(self, html: str, looks: Iterable[Look], part: str = "main") -> list[str]:
        self.show(html)
        violations = (text for look in looks for text in self.accessibility_problems(look, part))
        return [*self.size_problems(), *violations]

    def size_problems(self) -> Iterator[str]:
        for width in WIDTHS:
            self.resize(width)
            measured = self.page.evaluate(MEASURE)
            if measured["overflow"] > 0:
                yield f"scrolls sideways by {measured['overflow']} at {width}"
            if measured["bar"] > MAX_BAR_HEIGHT:
                yield f"the bar is {measured['bar']} high at {width}"

    def accessibility_problems(self, look: Look, part: str) -> Iterator[str]:
        width, scheme = look
        self.resize(width)
        self.page.emulate_media(color_scheme=scheme)
        if self.page.evaluate("typeof axe") == "undefined":  # it survives new content, and is half a megabyte
            self.page.evaluate(AXE)
        for violation in self.page.evaluate(RUN_AXE, [part, AXE_OPTIONS])["violations"]:
            yield f"{violation['id']} at {width} {scheme}: {[node['html'][:100] for node in violation['nodes']][:3]}"

    def focused_elements(self) -> Iterator[tuple[str, bool]]:
        """The start of each element that Tab reaches, and whether it has a visible ring."""
        self.page.keyboard.press("Tab")
        while (focused := self.page.evaluate(FOCUS))[0][:5] != "<body":
            yield tuple(focused)
            self.page.keyboard.press("Tab")


@pytest.fixture
def screen(chromium: Browser) -> Iterator[Screen]:
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    yield Screen(page, context.new_cdp_session(page))
    context.close()


@pytest.fixture
def client(web_app: Flask, visitor: WebClient, request: pytest.FixtureRequest, sms_enabled: None) -> WebClient:
    """The client whose fixture a test names as its parameter, on a portal with a send, a file and an import."""
    request.getfixturevalue("sent_communications")
    add_template_draft(web_app)
    show_second_factors(web_app, visitor)
    request.getfixturevalue("recipient_file")
    with web_app.app_context():
        background_imports.create_task(ImportTaskKind.OPT_OUTS, "+12025550166", SHELL_ACTOR, NOW_MS)
    with app_transaction(web_app):
        add_sends_to_show()
        add_alerts_to_show()
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


CHECKED_SEND = {
    "/Admin/Sends/confirm": {"template": "notice", "audience_type": "all"},
    "/Admin/Sends/people": {"template": "notice", "audience_type": "all", "people": "no_number"},
    "/Admin/Audiences/people": {"audience_type": "external_ids", "external_ids": "P-1"},
}


def whole_pages(app: Flask, client: WebClient) -> Iterator[tuple[str, str]]:
    """The address and the HTML of each page that this client may see, and one of those that it may not."""
    for address in (*addresses(app), "/c/x", *CHECKED_SEND):
        fields = CHECKED_SEND.get(address)
        response = client.get(address) if fields is None else client.post(address, **fields)
        is_shown = response.status_code == 200 or address in ("/nowhere", "/c/x", "/Setup/x")
        is_html = response.mimetype == "text/html"
        if is_shown and is_html and response.text.startswith("<!doctype") and 'href="#main"' in response.text:
            yield address, response.text


@pytest.mark.parametrize("client", ["visitor", "number_owner", "sysadmin"], indirect=True)
def test_pages_fit_every_screen_and_are_accessible(web_app: Flask, client: WebClient, screen: Screen) -> None:
    problems, looks = [], cycle(LOOKS)
    for address, html in whole_pages(web_app, client):
        is_style_guide = address == "/styleguide"
        found = screen.problems(html, LOOKS, "html") if is_style_guide else screen.problems(html, [next(looks)])
        problems += [f"{address}: {problem}" for problem in found]
    assert problems == []


ERRORS = {
    "/Admin/Sends/confirm": {"template": "notice", "audience_type": "external_ids", "external_ids": "X" * 200},
    "/Admin/Audiences/new": {
        "audience_type": "conditions",
        "conditions-0-field": "sms_state",
        "conditions-1-field": "gone",
        "conditions-2-field": "account_type",
        "conditions-2-operator": "any_of",
    },
    "/MyAccount/PhoneNumbers": {"number": "12ab", "label": "x" * 60},
    "/Admin/Automations/Templates/new": {"subject": "Hello {{ nobody }}", "body": "x" * 300},
    "/SysAdmin/AppConfig/SmsGatewaySettings": {"from_number": "1"},
    "/SysAdmin/Setup/Organization": {"name": "x" * 80, "region": "USA", "time_zone": "America/Springfield"},
    "/SysAdmin/Setup/Email": {"Host": "a b", "User": "u"},
    "/SysAdmin/Setup/Email/Code": {"code": "000000"},
    "/SysAdmin/Setup/Twilio": {"AccountSid": "AC1", "FromNumber": "x" * 40},
}


@pytest.mark.parametrize("client", ["sysadmin"], indirect=True)
def test_pages_with_errors_fit_every_screen_and_are_accessible(client: WebClient, screen: Screen) -> None:
    problems, looks = [], cycle(LOOKS)
    for address, fields in ERRORS.items():
        response = client.post(address, **fields)
        assert response.status_code == 422, address
        problems += [f"{address}: {problem}" for problem in screen.problems(response.text, [next(looks)])]
    assert problems == []


@pytest.mark.parametrize("client", ["sysadmin"], indirect=True)
@pytest.mark.parametrize("forced_colors", ["none", "active"])
def test_keyboard_focus_is_visible_and_starts_at_the_skip_link(
    client: WebClient, screen: Screen, forced_colors: Any
) -> None:
    screen.page.emulate_media(forced_colors=forced_colors)
    screen.show(client.get("/Admin/Sends/new?template=notice").text)
    focused = list(screen.focused_elements())
    assert 'class="skip"' in focused[0][0]
    assert len(focused) > 15
    assert [element for element, has_ring in focused if not has_ring] == []


@pytest.mark.parametrize("client", ["sysadmin"], indirect=True)
def test_print_shows_no_navigation(client: WebClient, screen: Screen) -> None:
    screen.page.emulate_media(media="print")
    for address in ("/Admin/Communications", "/Admin/Sends/1", "/Admin/Consent", "/MyAccount/PhoneNumbers"):
        screen.show(client.get(address).text)
        controls = screen.page.locator("nav, header, search, button, .mode, .skip, [role=button]").all()
        assert [control.inner_text() for control in controls if control.is_visible()] == [], address
        assert screen.page.locator("h1").is_visible()
