"""The tour in the README, walked in a browser: its words are on the pages, and it takes as many clicks as it says."""

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.running_portal import RunningPortal
from tests.support.servers import ROOT, wait_for

TOUR = " ".join((ROOT / "README.md").read_text("utf-8").partition("## Try it")[2].partition("\n## ")[0].split())
PASSWORD = "maple-lantern-river"
PHONE, SUBJECT = "(202) 555-0102", "Your education records are wanted"
Role = Literal["button", "link", "radio"]


class Tourist:
    """Clicks only on what the README names. Addresses and fields are typed, which is not counted."""

    def __init__(self, browser: Browser) -> None:
        self.clicks = 0
        self._own, self._private = (browser.new_context(viewport={"width": 1280, "height": 900}) for _ in range(2))
        self.portal, self.handset, self.private = self._own.new_page(), self._own.new_page(), self._private.new_page()

    def close(self) -> None:
        self._own.close()
        self._private.close()

    def click(self, element: Locator, name: str) -> None:
        """`name` is how the README names the element."""
        assert name in TOUR, name
        element.click()
        self.clicks += 1

    def press(self, role: Role, name: str, page: Page | None = None) -> None:
        self.click((page or self.portal).get_by_role(role, name=name, exact=True).first, f"**{name}**")

    def sign_in(self, page: Page, email: str) -> None:
        page.get_by_label("Email or account number").fill(email)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.click(page.get_by_role("button", name="Sign in"), "ign in as the ")


@pytest.fixture
def tourist(chromium: Browser) -> Iterator[Tourist]:
    tourist = Tourist(chromium)
    yield tourist
    tourist.close()


def test_the_tour_of_the_readme_takes_18_clicks(running_portal: RunningPortal, tourist: Tourist) -> None:
    tourist.portal.goto(running_portal.url)
    tourist.sign_in(tourist.portal, "admin@example.org")
    edit_template(tourist)
    send(tourist)
    tourist.handset.goto(f"{running_portal.simulator_url}/handsets")
    assert PHONE in TOUR
    tourist.handset.get_by_label("Phone number").fill(PHONE)
    tourist.press("button", "Open handset", tourist.handset)
    expect(text_on_handset(tourist)).to_be_visible()
    assert f"{tourist.clicks} of them bring a text to a handset" in TOUR
    read_in_a_private_window(tourist)
    look_at_the_history(tourist)
    stop_and_send_again(tourist)
    assert f"takes {tourist.clicks} clicks" in TOUR


def edit_template(tourist: Tourist) -> None:
    page = tourist.portal
    tourist.press("link", "Templates")
    tourist.press("link", "Audit selected")
    page.get_by_role("textbox", name="Subject").fill(SUBJECT)
    expect(page.locator("#preview").get_by_text(SUBJECT).first).to_be_visible()
    tourist.click(page.get_by_role("button", name=re.compile("Publish as version")), "**Publish as version 2**")
    expect(page.get_by_text(re.compile(r"Version \d+ is saved"))).to_be_visible()


def send(tourist: Tourist) -> None:
    tourist.press("button", "Send…")
    tourist.press("radio", "Everyone with an account")
    tourist.portal.get_by_label("Due date").fill("December 18, 2026")
    tourist.press("button", "Preview the send")
    expect(tourist.portal.get_by_role("definition").get_by_text(SUBJECT, exact=True)).to_be_visible()
    confirm(tourist, "Then send it.")


def confirm(tourist: Tourist, name: str) -> None:
    """Press the button that sends; the portal answers with the page of the send, and with nothing to check again."""
    tourist.click(tourist.portal.get_by_role("button", name=re.compile("Send .* emails")), name)
    expect(tourist.portal).to_have_url(re.compile(r"/Admin/Sends/\d+$"))
    expect(tourist.portal.get_by_role("heading", name=SUBJECT, exact=True)).to_be_visible()


def text_on_handset(tourist: Tourist) -> Locator:
    return tourist.handset.locator("li", has_text=SUBJECT).last


def read_in_a_private_window(tourist: Tourist) -> None:
    tourist.private.goto(text_on_handset(tourist).locator("a").get_attribute("href") or "")
    tourist.sign_in(tourist.private, "ben.whitaker@example.org")
    expect(tourist.private.get_by_role("heading", name=SUBJECT)).to_be_visible()


def look_at_the_history(tourist: Tourist) -> None:
    tourist.press("link", "Show the communications of this send")
    tourist.portal.get_by_role("combobox", name="Search communications").fill("Ben")
    row = tourist.portal.get_by_role("row", name="Ben Whitaker")
    tourist.click(row.get_by_role("link", name=SUBJECT), "choose the one to Ben Whitaker")
    expect(tourist.portal.get_by_text("Delivered").first).to_be_visible()


def stop_and_send_again(tourist: Tourist) -> None:
    page = tourist.portal
    tourist.click(tourist.handset.get_by_role("button", name="Send STOP"), "**STOP**")
    tourist.click(page.get_by_role("link", name=re.compile(r"^send \d")), "the link to the send")
    tourist.press("button", "Send again…")
    expect(page.get_by_text("The phone number is opted out")).to_be_visible()
    confirm(tourist, "and send:")
    tourist.press("link", "Phone numbers", tourist.private)
    expect(tourist.private.get_by_text("Texts stopped")).to_be_visible()
    tourist.click(tourist.handset.get_by_role("button", name="Send START"), "**START**")
    wait_for(lambda: is_enabled_after_reload(tourist.private), "texts to be on again")


def is_enabled_after_reload(page: Page) -> bool:
    page.reload()
    return page.get_by_text("Enabled for texts").is_visible()
