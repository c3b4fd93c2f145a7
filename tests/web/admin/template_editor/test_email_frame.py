"""The editor in a browser: the frame with the email follows what is typed, for the person who is chosen."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, FrameLocator, Page, Route, expect

from tests.support.web_client import PUBLIC_URL, WebClient

URL = "/Admin/Automations/Templates"
TEMPLATE = {
    "key": "renewal",
    "name": "Renewal",
    "subject": "Due, {{ name }}",
    "body": "Pay **now**.",
    "sms_enabled": "yes",
}

pytestmark = pytest.mark.e2e


def serve_from(person: WebClient, page: Page) -> None:
    """The requests of the page, answered by the app."""

    def serve(route: Route) -> None:
        request, url = route.request, urlsplit(route.request.url)
        headers = {name: value for name, value in request.all_headers().items() if name != "cookie"}
        response = person.client.open(
            f"{url.path}?{url.query}",
            method=request.method,
            data=request.post_data_buffer,
            headers={"Referer": f"{PUBLIC_URL}/", **headers},
            base_url=PUBLIC_URL,
        )
        route.fulfill(status=response.status_code, headers=dict(response.headers), body=response.data)

    page.route("**/*", serve)


@pytest.fixture
def editor(web_app: Flask, admin: WebClient, sms_enabled: None, chromium: Browser) -> Iterator[Page]:
    location = admin.post(f"{URL}/new", **TEMPLATE).headers["Location"]
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    serve_from(admin, page)
    page.goto(f"{PUBLIC_URL}{location}")
    yield page
    context.close()


def email(page: Page) -> FrameLocator:
    return page.frame_locator("iframe[data-email-action]:not([hidden])")


def test_frame_follows_what_is_typed_for_the_chosen_person(editor: Page) -> None:
    expect(email(editor).get_by_text("Due, Jordan Rivera")).to_be_visible()
    editor.get_by_label("For whom").fill("olive")
    editor.keyboard.press("Enter")
    expect(email(editor).get_by_text("Due, Olive Owner")).to_be_visible()
    editor.get_by_label("Body", exact=True).fill("Typed **for {{ first_name }}**.")
    expect(email(editor).get_by_text("for Olive")).to_be_visible()
    editor.get_by_role("radio", name="Without formatting").check()
    expect(email(editor).get_by_text("Typed for Olive.")).to_be_visible()


def test_updates_of_the_frame_add_nothing_to_the_history(editor: Page) -> None:
    before = editor.evaluate("history.length")
    for words in ("One", "Two", "Three"):
        editor.get_by_label("Body", exact=True).fill(words)
        expect(email(editor).get_by_text(words, exact=True)).to_be_visible()
    assert editor.evaluate("history.length") == before
    assert editor.locator("iframe").count() == 1


def test_email_is_shown_as_wide_as_a_phone(editor: Page) -> None:
    editor.get_by_role("radio", name="On a phone").check()
    expect(editor.locator("iframe:not([hidden])")).to_have_css("width", "375px")


def test_condition_is_put_around_what_is_selected(editor: Page) -> None:
    body = editor.get_by_label("Body", exact=True)
    body.select_text()
    editor.get_by_role("button", name="Only if … has a value").click()
    expect(body).to_have_value("{% if data.field_name %}Pay **now**.{% endif %}")
    assert editor.evaluate("getSelection().toString()") == "field_name"


@pytest.mark.parametrize("default", ["en", "es"])
def test_sample_person_reads_the_language_in_which_somebody_writes(web_app: Flask, editor: Page, default: str) -> None:
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], language=default)
    editor.get_by_text("In Spanish", exact=True).click()
    editor.get_by_label("Subject in Spanish").fill("Vence, {{ name }}")
    editor.get_by_label("Body in Spanish").fill("Pague **ya**.")
    expect(email(editor).get_by_text("Vence, Jordan Rivera")).to_be_visible()
    spanish = editor.locator("details", has=editor.get_by_label("Body in Spanish"))
    spanish.get_by_role("button", name="Full name").click()
    expect(editor.get_by_label("Body in Spanish")).to_have_value("Pague **ya**.{{ name }}")
    editor.get_by_label("Subject", exact=True).fill("Due soon, {{ name }}")
    expect(email(editor).get_by_text("Due soon, Jordan Rivera")).to_be_visible()
