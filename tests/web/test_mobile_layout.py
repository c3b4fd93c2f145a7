"""Pages that show an inbound text fit a phone screen. A real browser gets its pages from the test client."""

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Route

from portal.consent import inbound_processing
from tests.support.web_client import PUBLIC_URL, WebClient

pytestmark = pytest.mark.e2e
REPLIES, NUMBER = "/Admin/Consent/Replies", "+12025550155"
LONG = "rcs:" + "x" * 60
BODIES = {"emoji": "😀" * 1_600, "families": "👩‍👩‍👧‍👦" * 140, "letters": "x" * 1_600, "marks": "a" + "\u0301" * 1_500}


@pytest.fixture
def phone_page(chromium: Browser, admin: WebClient) -> Iterator[Page]:
    """A page with the size of a phone screen, signed in as an administrator."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})

    def serve(route: Route) -> None:
        url = urlsplit(route.request.url)
        response = admin.get(f"{url.path}?{url.query}")
        route.fulfill(status=response.status_code, content_type=response.content_type, body=response.data)

    context.route("**/*", serve)
    yield context.new_page()
    context.close()


def texts(app: Flask, body: str, sender: str) -> None:
    with app.app_context():
        form = {"MessageSid": f"SM{time.time_ns()}", "From": sender, "To": "+12025550199", "Body": body}
        inbound_processing.receive_inbound(form, time.time_ns() // 1_000_000)


def overflowing_elements(page: Page, path: str) -> list[str]:
    """Elements beyond the right edge of the screen; empty if the page does not scroll sideways."""
    page.goto(f"{PUBLIC_URL}{path}")
    assert page.locator("li, article").count()
    return list(
        page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("main *")]
                .filter(one => one.getBoundingClientRect().right > innerWidth)
                .map(one => `${one.tagName}.${one.className}`)"""
        )
    )


@pytest.mark.parametrize("body", BODIES)
def test_long_reply_fits_a_phone_screen(
    web_app: Flask, sms_enabled: None, admin: WebClient, phone_page: Page, body: str
) -> None:
    texts(web_app, BODIES[body], NUMBER)
    texts(web_app, BODIES[body], LONG)
    for path in (REPLIES, f"/Admin/Consent/Numbers/{NUMBER}"):
        assert overflowing_elements(phone_page, path) == [], path


@pytest.mark.parametrize("sender", [LONG, "WWWWWWWWWW" * 7, "😀" * 64])
def test_long_sender_fits_a_phone_screen(
    web_app: Flask, sms_enabled: None, admin: WebClient, phone_page: Page, sender: str
) -> None:
    texts(web_app, "who is this?", sender)
    assert overflowing_elements(phone_page, REPLIES) == []
    admin.post(f"{REPLIES}/1", decision="nothing")
    assert overflowing_elements(phone_page, f"{REPLIES}?show=decided") == []
