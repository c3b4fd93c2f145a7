"""Asking for texts in a real browser: from the button to the welcome text on the handset, by mouse, by keyboard, and
without JavaScript; and what the dialog is to axe, to Escape and to a click beside it."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.running_portal import RunningPortal
from tests.e2e.test_notification_journey import PASSWORD, VIEWPORTS, check_page
from tests.support import servers

PHONE_NUMBERS_PATH = "/MyAccount/PhoneNumbers"
OpenSignedInWindow = Callable[..., Page]


@pytest.fixture
def open_signed_in_window(running_portal: RunningPortal, chromium: Browser) -> Iterator[OpenSignedInWindow]:
    """Opens the phone numbers of somebody who signs in; at the end the browser may not have complained."""
    complaints: list[str] = []
    contexts = []

    def open_window(who: str, path: str = PHONE_NUMBERS_PATH, **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda entry: complaints.append(entry.text) if entry.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{running_portal.url}{path}")
        page.get_by_label("Email or account number").fill(who)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/SignIn" not in url)
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert [
        words
        for words in complaints
        if "422" not in words and "ERR_INTERNET" not in words and "Failed to fetch" not in words
    ] == []


def reply_from_handset(running_portal: RunningPortal, handset: str, body: str) -> None:
    words = json.dumps({"from": handset, "body": body}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{running_portal.simulator_url}/simulator/inbound", words, headers)
    ) as answer:
        assert [post["status"] for post in json.load(answer)["deliveries"]] == [200]


def texts_to(running_portal: RunningPortal, handset: str) -> list[str]:
    found = servers.get_json(f"{running_portal.simulator_url}/simulator/messages?to={handset.replace('+', '%2B')}")[
        "messages"
    ]
    return [text["body"] for text in found if text["direction"] == "outbound-api"]


def opt_in_dialog(page: Page) -> Any:
    return page.get_by_role("dialog", name="Enable texts")


def expect_focus(page: Page, element_id: str | None) -> None:
    expect(page.locator(":focus")).to_have_id(element_id or "")


def test_texts_are_asked_for_in_the_dialog_and_the_row_follows_by_itself(
    running_portal: RunningPortal, open_signed_in_window: OpenSignedInWindow
) -> None:
    page, handset = open_signed_in_window("P-1007"), "+12025550106"
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page).get_by_text("Reply START to it")).to_be_visible()
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("Invitation sent, waiting for START")).to_be_visible()
    expect(opt_in_dialog(page)).to_have_count(0)
    expect_focus(page, page.locator(".number-status").get_attribute("id"))  # the reader goes on at the answer
    servers.wait_for(lambda: len(texts_to(running_portal, handset)) == 1, "the invitation to reach the handset")
    check_page(page)
    reply_from_handset(running_portal, handset, "start")
    expect(page.get_by_text("Enabled for texts")).to_be_visible()
    servers.wait_for(lambda: len(texts_to(running_portal, handset)) == 2, "the welcome text")
    invitation, welcome = texts_to(running_portal, handset)
    assert "reply_from_handset START" in invitation
    assert "now come by text" in welcome
    assert page.locator("[hx-trigger]").count() == 0, "looking again ends by itself"
    check_page(page)


def test_it_works_without_javascript(running_portal: RunningPortal, open_signed_in_window: OpenSignedInWindow) -> None:
    page, handset = open_signed_in_window("P-1015", java_script_enabled=False), "+12025550112"
    page.get_by_role("button", name="Enable texts").click()
    expect(page.get_by_role("heading", name="Enable texts", level=1)).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Enable texts").click()
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("The invitation is on its way to (202) 555-0112.")).to_be_visible()
    servers.wait_for(lambda: texts_to(running_portal, handset), "the invitation to reach the handset")
    page.get_by_role("link", name="Refresh").click()
    servers.wait_for(lambda: page.reload() and page.get_by_text("waiting for START").count(), "the page to say so")
    reply_from_handset(running_portal, handset, "START")
    page.goto(f"{running_portal.url}{PHONE_NUMBERS_PATH}")
    expect(page.get_by_text("Enabled for texts")).to_be_visible()
    servers.wait_for(lambda: len(texts_to(running_portal, handset)) == 2, "the welcome text")


def test_the_keyboard_is_enough_and_a_refusal_stands_in_the_dialog(
    running_portal: RunningPortal, open_signed_in_window: OpenSignedInWindow
) -> None:
    page = open_signed_in_window("P-1023")
    button = page.get_by_role("button", name="Enable texts")
    opener, plain_page = button.get_attribute("id"), button.get_attribute("href")
    button.focus()
    page.keyboard.press("Space")
    expect(opt_in_dialog(page)).to_be_visible()
    expect_focus(page, "dialog-heading")
    page.keyboard.press("Escape")
    expect(opt_in_dialog(page)).to_have_count(0)
    expect_focus(page, opener)
    page.keyboard.press("Enter")
    expect(opt_in_dialog(page)).to_be_visible()
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{running_portal.url}{plain_page}")
    elsewhere.get_by_role("button", name="Send the invitation").click()
    expect(elsewhere.get_by_text("is on its way").first).to_be_visible()
    page.bring_to_front()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    refusal = opt_in_dialog(page).get_by_role("alert")
    expect(refusal).to_contain_text("invited a moment ago. You can try again in 9 minutes")
    check_page(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(opt_in_dialog(page)).to_have_count(0)
    expect_focus(page, opener)


def test_a_dialog_opened_again_before_the_browser_told_of_its_closing_keeps_its_words(
    open_signed_in_window: OpenSignedInWindow,
) -> None:
    page = open_signed_in_window("V-2011")
    run_before_close_event(page, "dialog.showModal()")
    expect(opt_in_dialog(page).get_by_role("button", name="Send the invitation")).to_be_visible()


def test_what_comes_for_the_next_opening_before_the_browser_told_of_the_closing_stays(
    open_signed_in_window: OpenSignedInWindow,
) -> None:
    page = open_signed_in_window("V-2011")
    run_before_close_event(page, "dialog.replaceChildren(document.createElement('article'), 'What comes next')")
    expect(page.locator("#dialog")).to_have_text("What comes next")


def run_before_close_event(page: Page, does: str) -> None:
    """The dialog is opened and closed, and that is done in the moment before its close event; then that has passed."""
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page)).to_be_visible()
    page.evaluate(
        f"""() => new Promise((told) => {{
            const dialog = document.getElementById("dialog");
            dialog.addEventListener("close", told);
            dialog.close();
            {does};
        }})"""
    )


@pytest.mark.parametrize(("width", "scheme"), VIEWPORTS, ids=[f"{scheme}-{width}" for width, scheme in VIEWPORTS])
def test_the_dialog_is_sound_wide_and_narrow_light_and_dark(
    open_signed_in_window: OpenSignedInWindow, width: int, scheme: str
) -> None:
    page = open_signed_in_window("V-2011", viewport={"width": width, "height": 700}, color_scheme=scheme)
    check_page(page)
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page).get_by_text("can text you")).to_be_visible()
    assert page.evaluate("document.getElementById('dialog').matches(':modal')")
    check_page(page)
    opt_in_dialog(page).get_by_role("button", name="Cancel").click()
    expect(opt_in_dialog(page)).to_have_count(0)
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page)).to_be_visible()
    page.mouse.click(2, 350)
    expect(opt_in_dialog(page)).to_have_count(0)


def test_an_administrator_asks_for_somebody_in_the_same_dialog(open_signed_in_window: OpenSignedInWindow) -> None:
    page = open_signed_in_window("admin@example.org", "/Admin/Accounts?q=V-2012")
    page.get_by_role("link", name="Lakeside").click()
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page).get_by_text("You are acting for")).to_be_visible()
    check_page(page)
    page.context.set_offline(True)
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(opt_in_dialog(page).get_by_role("alert")).to_contain_text("The portal does not answer")
    page.context.set_offline(False)
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("Invitation sent, waiting for START")).to_be_visible()
