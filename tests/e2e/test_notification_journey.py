"""The main journey in a real browser: an administrator sends a notification and a recipient reads it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.running_portal import RunningPortal
from tests.support import servers

PASSWORD = "maple-lantern-river"
RECIPIENT = ("P-1002", "+12025550102", "(202) 555-0102")
VIEWPORTS: list[tuple[int, Any]] = [(1280, "light"), (390, "dark")]
"""Each width and each colour scheme once: the width affects the layout, the scheme the contrast."""


OpenWindow = Callable[[], Page]


@pytest.fixture
def open_window(chromium: Browser) -> Iterator[OpenWindow]:
    """Opens a browser window with its own session. Fails at the end if the console has shown an error."""
    console_errors: list[str] = []
    contexts: list[BrowserContext] = []

    def open_window() -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda entry: console_errors.append(entry.text) if entry.type == "error" else None)
        page.on("pageerror", lambda error: console_errors.append(str(error)))
        return page

    yield open_window
    for context in contexts:
        context.close()
    assert console_errors == []


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Email or account number").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    check_page(page)
    page.get_by_role("button", name="Sign in").click()


def check_page(page: Page) -> None:
    """Check that a page has one main heading, does not scroll sideways and has no accessibility violations.

    It leaves the window as narrow as a phone, where the test goes on.
    """
    expect(page.locator("h1")).to_have_count(1)
    for width, scheme in VIEWPORTS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour on its way to another
        where = f"{page.url}, {scheme}, {width} wide"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{where} scrolls sideways"
        results = Axe().run(page)
        assert results.violations_count == 0, f"{where}: {results.generate_report()}"


def test_an_administrator_sends_and_a_recipient_reads(running_portal: RunningPortal, open_window: OpenWindow) -> None:
    admin = open_window()
    earlier_emails = servers.get_json(f"{running_portal.simulator_url}/simulator/mail")["mail"]
    # one demo number cannot receive texts: the first send finds that out, and its owner gets an email
    expected_texts = 22 if any(email["subject"].startswith("Please check") for email in earlier_emails) else 23
    earlier_texts = len(servers.get_json(f"{running_portal.simulator_url}/simulator/messages")["messages"])
    admin.goto(f"{running_portal.url}/Admin/Automations/Templates")
    sign_in(admin, "admin@example.org")
    subject = edit_template(admin)
    send_to_everyone(admin, expected_texts)
    watch_progress(admin)
    go_back_to_the_send(admin)
    use_the_keyboard(admin, running_portal)
    emails = servers.get_json(f"{running_portal.simulator_url}/simulator/mail")["mail"][len(earlier_emails) :]
    emails = [email for email in emails if email["subject"] == subject]
    texts = servers.get_json(f"{running_portal.simulator_url}/simulator/messages")["messages"][earlier_texts:]
    assert len({email["to"][0] + email["message_id"] for email in emails}) == len(emails) == 38
    assert len({text["to"] for text in texts}) == len(texts) == expected_texts
    assert {text["num_segments"] for text in texts} == {"1"}
    read_as_recipient(open_window(), running_portal, subject)
    check_delivery_pages(admin, running_portal, subject)


def edit_template(page: Page) -> str:
    """Save a new version of a template and return its subject."""
    check_page(page)
    page.get_by_role("link", name="Audit selected").click()
    version = page.get_by_role("button", name=re.compile("Publish as version")).inner_text()
    subject = f"Your record was selected for audit ({version.split()[-1]})"
    page.get_by_role("textbox", name="Subject").fill("Hello {{ nobody }}")
    expect(page.get_by_text("there is no merge field “nobody”").first).to_be_visible()
    page.get_by_role("textbox", name="Subject").fill(subject)
    expect(page.locator("#preview").get_by_text(subject).first).to_be_visible()
    check_page(page)
    page.get_by_role("button", name=re.compile("Publish as version")).click()
    expect(page.get_by_text(f"Version {version.split()[-1]} is saved")).to_be_visible()
    check_page(page)
    return subject


def send_to_everyone(page: Page, expected_texts: int) -> None:
    page.get_by_role("button", name="Send…").click()
    page.get_by_label("Everyone with an account").check()
    page.get_by_label("Due date").fill("December 18, 2026")
    check_page(page)
    page.get_by_role("button", name="Preview the send").click()
    expect(page.get_by_text(f"38 emails and {expected_texts} texts").first).to_be_visible()
    check_page(page)
    page.get_by_role("button", name=f"Send 38 emails and {expected_texts} texts").click()


def watch_progress(page: Page) -> None:
    """The page updates itself and stops polling when the send is complete."""
    expect(page.get_by_role("heading", name="Emails")).to_be_visible()
    check_page(page)
    expect(page.locator("#progress:not([hx-get])")).to_be_visible(timeout=40_000)
    check_page(page)
    requested_urls: list[str] = []
    page.on("request", lambda request: requested_urls.append(request.url))
    page.wait_for_timeout(3_000)
    assert requested_urls == [], "the page still polls"


def go_back_to_the_send(page: Page) -> None:
    """The page before the send was the answer to a form; Back must not repeat the form."""
    address = page.url
    page.go_back()
    expect(page).to_have_url(address)


def use_the_keyboard(page: Page, running_portal: RunningPortal) -> None:
    """A list can be searched and opened without a mouse, and the way back keeps the search."""
    page.goto(f"{running_portal.url}/Admin/Communications")
    page.keyboard.press("/")
    page.keyboard.type(RECIPIENT[0])
    expect(page).to_have_url(re.compile("q="))
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Deliveries")).to_be_visible()
    page.get_by_role("navigation", name="Breadcrumbs").get_by_role("link").click()
    expect(page.get_by_role("combobox", name="Search communications")).to_have_value(RECIPIENT[0])
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    check_page(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_hidden()
    page.locator("#mode").get_by_role("button").click()  # it is named after what is wrong, if anything is
    expect(page.locator("#mode-details")).to_be_visible()
    check_page(page)
    page.keyboard.press("Escape")


def read_as_recipient(page: Page, running_portal: RunningPortal, subject: str) -> None:
    """Follow the link in the text, sign in and read the full notification."""
    account, phone_number, _ = RECIPIENT
    page.goto(f"{running_portal.simulator_url}/handsets/{phone_number.replace('+', '%2B')}")
    bubble = page.get_by_text(subject).last
    expect(bubble).to_be_visible()
    link = page.locator("a[href*='/c/']").last.get_attribute("href")
    assert link
    page.goto(link)
    assert "/SignIn" in page.url
    sign_in(page, account)
    expect(page.get_by_role("heading", name=subject)).to_be_visible()
    expect(page.get_by_text("attendance lists")).to_have_count(0)
    expect(page.get_by_text("certificates of completion").first).to_be_visible()
    check_page(page)
    page.goto(f"{running_portal.url}/MyAccount/CommunicationsHistory")
    check_page(page)
    page.goto(f"{running_portal.url}/MyAccount/PhoneNumbers")
    check_page(page)


def check_delivery_pages(page: Page, running_portal: RunningPortal, subject: str) -> None:
    """The administrator sees the delivery status of the recipient's email and text."""
    page.goto(f"{running_portal.url}/Admin/Communications?q={RECIPIENT[0]}")
    check_page(page)
    page.get_by_role("link", name=subject).first.click()
    expect(page.get_by_text("Sent", exact=True).first).to_be_visible()
    expect(page.get_by_text("Delivered").first).to_be_visible()
    check_page(page)
    for path in ("/Admin/Accounts", "/Admin/Accounts/1", "/Admin/Sends", "/Admin/Automations/Templates/new"):
        page.goto(f"{running_portal.url}{path}")
        check_page(page)


def test_the_link_of_another_recipient_gives_404(running_portal: RunningPortal, chromium: Browser) -> None:
    text = servers.get_json(f"{running_portal.simulator_url}/simulator/messages")["messages"][-1]
    (link,) = re.findall(r"http\S+", text["body"])
    page = chromium.new_page()
    page.goto(link)
    page.get_by_label("Email or account number").fill("V-2014")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Sign in").click()
    assert navigation.value.status == 404
    page.close()


def test_a_send_works_without_javascript(running_portal: RunningPortal, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{running_portal.url}/Admin/Sends/new?template=payment-received")
    page.get_by_label("Email or account number").fill("admin@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Individual accounts").check()
    page.get_by_label("Account numbers").fill("P-1003")
    page.get_by_label("Amount").fill("$5.00")
    page.get_by_role("button", name="Preview the send").click()
    page.get_by_role("button", name="Send 1 email").click()
    expect(page.get_by_role("heading", name="Emails")).to_be_visible()
    context.close()
