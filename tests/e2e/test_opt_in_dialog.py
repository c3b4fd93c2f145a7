"""Enabling texts in a real browser: the opt-in dialog by mouse, by keyboard and without JavaScript."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.running_portal import RunningPortal
from tests.e2e.test_notification_journey import PASSWORD, check_page
from tests.support import servers

PHONE_NUMBERS_PATH = "/MyAccount/PhoneNumbers"
OpenSignedInWindow = Callable[..., Page]


@pytest.fixture
def open_signed_in_window(running_portal: RunningPortal, chromium: Browser) -> Iterator[OpenSignedInWindow]:
    """Opens a page as a signed-in account. Fails at the end if the console has shown an unexpected error."""
    console_errors: list[str] = []
    contexts: list[BrowserContext] = []

    def open_window(name: str, path: str = PHONE_NUMBERS_PATH, **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda entry: console_errors.append(entry.text) if entry.type == "error" else None)
        page.on("pageerror", lambda error: console_errors.append(str(error)))
        page.goto(f"{running_portal.url}{path}")
        page.get_by_label("Email or account number").fill(name)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/SignIn" not in url)
        return page

    yield open_window
    for context in contexts:
        context.close()
    expected = ("422", "ERR_INTERNET", "Failed to fetch")
    assert [error for error in console_errors if not any(part in error for part in expected)] == []


def reply_from_handset(running_portal: RunningPortal, handset: str, body: str) -> None:
    data = json.dumps({"from": handset, "body": body}).encode()
    url, headers = f"{running_portal.simulator_url}/simulator/inbound", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as response:
        assert [post["status"] for post in json.load(response)["deliveries"]] == [200]


def texts_to(running_portal: RunningPortal, handset: str) -> list[str]:
    query = f"to={handset.replace('+', '%2B')}"
    texts = servers.get_json(f"{running_portal.simulator_url}/simulator/messages?{query}")["messages"]
    return [text["body"] for text in texts if text["direction"] == "outbound-api"]


def opt_in_dialog(page: Page) -> Any:
    return page.get_by_role("dialog", name="Enable texts")


def expect_focus(page: Page, element_id: str | None) -> None:
    expect(page.locator(":focus")).to_have_id(element_id or "")


def test_the_dialog_sends_an_invitation_and_the_row_updates(
    running_portal: RunningPortal, open_signed_in_window: OpenSignedInWindow
) -> None:
    page, handset = open_signed_in_window("P-1007"), "+12025550106"
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page).get_by_text("Reply START to it")).to_be_visible()
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("Invitation sent, waiting for START")).to_be_visible()
    expect(opt_in_dialog(page)).to_have_count(0)
    expect_focus(page, page.locator(".number-status").get_attribute("id"))  # screen readers continue at the result
    servers.wait_for(lambda: len(texts_to(running_portal, handset)) == 1, "the invitation to reach the handset")
    check_page(page)
    reply_from_handset(running_portal, handset, "start")
    expect(page.get_by_text("Enabled for texts")).to_be_visible()
    servers.wait_for(lambda: len(texts_to(running_portal, handset)) == 2, "the welcome text")
    invitation, welcome = texts_to(running_portal, handset)
    assert "reply START" in invitation
    assert "now come by text" in welcome
    expect(page.locator("[hx-trigger]")).to_have_attribute("hx-trigger", "every 5s")  # STOP may come at any time
    check_page(page)


def test_invitation_replaces_the_notice_about_the_new_number(open_signed_in_window: OpenSignedInWindow) -> None:
    page = open_signed_in_window("P-1009")
    page.get_by_role("textbox", name="Phone number").fill("(202) 555-0163")
    page.get_by_role("button", name="Add number").click()
    expect(page.get_by_text("The number is now on your account.")).to_be_visible()
    page.get_by_role("button", name="Enable texts").last.click()
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("Invitation sent, waiting for START")).to_be_visible()
    expect(page.get_by_text("The number is now on your account.")).to_have_count(0)


def test_opt_in_works_without_javascript(
    running_portal: RunningPortal, open_signed_in_window: OpenSignedInWindow
) -> None:
    page, handset = open_signed_in_window("P-1015", java_script_enabled=False), "+12025550112"
    page.get_by_role("button", name="Enable texts").click()
    expect(page.get_by_role("heading", name="Enable texts", level=1)).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Enable texts").click()
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("The invitation is on its way to (202) 555-0112.")).to_be_visible()
    servers.wait_for(lambda: texts_to(running_portal, handset), "the invitation to reach the handset")
    page.get_by_role("link", name="Check again").click()
    servers.wait_for(lambda: page.reload() and page.get_by_text("waiting for START").count(), "the page to say so")
    reply_from_handset(running_portal, handset, "START")
    page.goto(f"{running_portal.url}{PHONE_NUMBERS_PATH}")
    expect(page.get_by_text("Enabled for texts")).to_be_visible()
    servers.wait_for(lambda: len(texts_to(running_portal, handset)) == 2, "the welcome text")


def test_an_open_page_follows_stop_and_start(
    running_portal: RunningPortal, open_signed_in_window: OpenSignedInWindow
) -> None:
    page = open_signed_in_window("V-2013")
    handset = "+1" + re.sub(r"\D", "", page.locator(".phone").first.inner_text())
    page.get_by_role("button", name="Enable texts").click()
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_role("button", name="Text START")).to_have_attribute(
        "href", re.compile(r"^sms:\+1\d{10}\?&body=START$")
    )
    reply_from_handset(running_portal, handset, "START")
    page.get_by_role("button", name="Stop texts…").click()
    check_page(page)
    page.get_by_role("button", name="Stop texts").click()
    expect(page.get_by_text("Last change: Texts stopped on a page of the portal")).to_be_visible()
    page.get_by_text("From another device").click()
    expect(page.get_by_role("img", name="Code that opens a text with the word START")).to_be_visible()
    check_page(page)
    for word, status in (("START", "Enabled for texts"), ("STOP", "Texts stopped")):
        reply_from_handset(running_portal, handset, word)
        expect(page.get_by_text(status)).to_be_visible(timeout=15_000)
        expect(page.get_by_text(f"Last change: {word} from the phone")).to_be_visible()


def test_the_dialog_works_by_keyboard_and_shows_errors(
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
    for name in ("terms", "privacy policy"):
        page.keyboard.press("Tab")
        expect(opt_in_dialog(page).get_by_role("link", name=name)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    refusal = opt_in_dialog(page).get_by_role("alert")
    expect(refusal).to_contain_text("invited a moment ago. You can try again in 9 minutes")
    check_page(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(opt_in_dialog(page)).to_have_count(0)
    expect_focus(page, opener)


def test_the_close_event_leaves_what_was_shown_before_it(open_signed_in_window: OpenSignedInWindow) -> None:
    """A dialog that was opened again, or that has new content."""
    page = open_signed_in_window("V-2011")
    run_before_close_event(page, "dialog.showModal()")
    expect(opt_in_dialog(page).get_by_role("button", name="Send the invitation")).to_be_visible()
    page.keyboard.press("Escape")
    expect(opt_in_dialog(page)).to_have_count(0)
    run_before_close_event(page, "dialog.replaceChildren(document.createElement('article'), 'New content')")
    expect(page.locator("#dialog")).to_have_text("New content")


def run_before_close_event(page: Page, script: str) -> None:
    """Open and close the dialog, run `script` before its close event fires, and wait for the event."""
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page)).to_be_visible()
    page.evaluate(
        f"""() => new Promise((resolve) => {{
            const dialog = document.getElementById("dialog");
            dialog.addEventListener("close", resolve);
            dialog.close();
            {script};
        }})"""
    )


def test_the_dialog_is_accessible_in_each_viewport(open_signed_in_window: OpenSignedInWindow) -> None:
    page = open_signed_in_window("V-2011")
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


def test_an_administrator_invites_somebody_in_the_same_dialog(open_signed_in_window: OpenSignedInWindow) -> None:
    page = open_signed_in_window("admin@example.org", "/Admin/Accounts?q=V-2012")
    page.get_by_role("link", name="Lakeside").click()
    page.get_by_role("button", name="Enable texts").click()
    expect(opt_in_dialog(page).get_by_text("You are acting for")).to_be_visible()
    check_page(page)
    page.context.set_offline(True)
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(opt_in_dialog(page).get_by_role("alert")).to_contain_text("The portal is not responding")
    page.context.set_offline(False)
    opt_in_dialog(page).get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_text("Invitation sent, waiting for START")).to_be_visible()
