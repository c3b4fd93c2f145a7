"""In a browser: from an empty page to a first scheduled send."""

from datetime import date, timedelta

import pytest
from flask import Flask
from playwright.sync_api import Browser, Locator, expect

from portal.content.message_templates import TemplateDraft, create_template
from tests.support.browser.served_pages import serve_pages
from tests.support.web_client import NOW_MS, PUBLIC_URL, WebClient

pytestmark = pytest.mark.e2e
MAX_CLICKS = 8


def test_a_first_scheduled_send_takes_few_clicks(web_app: Flask, admin: WebClient, chromium: Browser) -> None:
    """A field that is filled in counts as a click."""
    with web_app.app_context():
        create_template(TemplateDraft("due", "Due soon", "Soon due", "Hello.", False, True), None, NOW_MS)
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    serve_pages(context, admin)
    page, clicks = context.new_page(), 0

    def click(target: Locator, text: str = "") -> None:
        nonlocal clicks
        clicks += 1
        target.click()
        if text:
            target.fill(text)

    page.goto(f"{PUBLIC_URL}/Admin/Schedules")
    expect(page.get_by_text("Nothing is scheduled.")).to_be_visible()
    click(page.get_by_role("button", name="New schedule").first)
    click(page.get_by_role("link", name="Due soon"))
    click(page.get_by_label("Everyone with an account"))
    expect(page.get_by_label("Days before the date")).to_be_hidden()
    click(page.get_by_label("Date", exact=True), str(date.today() + timedelta(days=2)))
    click(page.get_by_label("Time of day"), "10:30")
    click(page.get_by_role("button", name="Save the schedule"))
    expect(page.get_by_role("heading", name="Next runs")).to_be_visible()
    expect(page.get_by_text("at 10:30 AM (America/New_York)")).to_be_visible()
    assert clicks <= MAX_CLICKS
    context.close()
