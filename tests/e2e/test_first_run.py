"""From nothing to the first text, with the README alone: no demo data, and no shell after `portal up`."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support import servers
from tests.support.authentication.authenticator_app import AuthenticatorApp
from tests.support.servers import ROOT

START = " ".join(
    (ROOT / "README.md").read_text("utf-8").partition("## Start for real")[2].partition("\n## ")[0].split()
)
PHONE = "(202) 555-0144"
PASSWORD = "quiet-harbor-lamp-7"
MOST_STEPS, MOST_SECONDS = 30, 600


@dataclass(frozen=True)
class NewPortal:
    """`output` is what `portal up` printed: everything a newcomer knows."""

    output: str

    def find(self, pattern: str) -> str:
        match = re.search(pattern, self.output)
        assert match, self.output
        return match[1]


class Newcomer:
    """Clicks and fills in only what the README names; both are counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.steps = page, 0

    def press(self, role: str, name: str, page: Page | None = None) -> None:
        assert f"**{name}**" in START, name
        (page or self.page).get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]
        self.steps += 1

    def click(self, element: Locator) -> None:
        element.click()
        self.steps += 1

    def fill(self, label: str, text: str, page: Page | None = None) -> None:
        (page or self.page).get_by_label(label, exact=True).fill(text)
        self.steps += 1


@pytest.fixture
def new_portal(tmp_path: Path) -> Iterator[NewPortal]:
    port, output = servers.consecutive_free_ports(3), tmp_path / "output"
    environ = {"PORTAL_INSTANCE": str(tmp_path / "instance"), "PORTAL_SECOND_FACTOR": ""}
    command = servers.portal_command("up", "--simulator", "--port", str(port))
    assert "portal up --simulator" in START
    with (
        output.open("w") as stdout,
        servers.running_process(command, environ, stdout=stdout),
    ):
        servers.wait_for(lambda: "Press Ctrl-C" in output.read_text(), "the portal to say where it is", 120)
        yield NewPortal(output.read_text())


def test_first_text_takes_at_most_30_clicks_and_fields(new_portal: NewPortal, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    newcomer, began_at = Newcomer(context.new_page()), time.monotonic()
    create_account(newcomer, new_portal)
    set_up_second_factor(newcomer)
    set_up_organization(newcomer)
    set_up_email(newcomer, new_portal)
    connect_twilio(newcomer, new_portal)
    send_test_text(newcomer, new_portal)
    seconds = time.monotonic() - began_at
    print(f"{newcomer.steps} clicks and fields, {seconds:.0f} seconds")
    assert newcomer.steps <= MOST_STEPS
    assert seconds <= MOST_SECONDS
    assert f"{newcomer.steps} clicks and fields" in START
    context.close()


def create_account(newcomer: Newcomer, portal: NewPortal) -> None:
    newcomer.page.goto(portal.find(r"(http://\S+/Setup/\S+)"))
    newcomer.steps += 1
    newcomer.fill("Your name", "Dana Reyes")
    newcomer.fill("Email", "dana@example.org")
    newcomer.fill("Password", PASSWORD)
    newcomer.press("button", "Create account")


def set_up_second_factor(newcomer: Newcomer) -> None:
    """The app reads the key from the picture, which the page also has as text."""
    app = AuthenticatorApp(newcomer.page.locator(".secret-key").text_content() or "")
    newcomer.fill("Code", app.code())
    newcomer.press("button", "Turn on")
    expect(newcomer.page.get_by_role("heading", name="Finish setting up")).to_be_visible()


def set_up_organization(newcomer: Newcomer) -> None:
    newcomer.press("link", "Set up the organization")
    newcomer.fill("Name", "Harbor Board")
    newcomer.fill("Time zone", "America/New_York")
    newcomer.press("button", "Save organization")
    expect(step(newcomer.page, "Organization")).to_contain_text("Done")


def set_up_email(newcomer: Newcomer, portal: NewPortal) -> None:
    newcomer.press("link", "Set up the mail server")
    newcomer.fill("Mail server", portal.find(r"Mail server +(\S+),"))
    newcomer.fill("Port", portal.find(r"Mail server .*port (\d+)"))
    newcomer.fill("Sender", "Harbor Board <notices@example.org>")
    newcomer.press("button", "Save and send a test email")
    mailbox = newcomer.page.context.new_page()
    mailbox.goto(portal.find(r"Mailbox +(\S+)"))
    newcomer.steps += 1
    newcomer.click(mailbox.get_by_role("link", name=re.compile("Test email of Harbor Board")).first)
    text = mailbox.get_by_text(re.compile(r"enter the code \d{6}")).inner_text()
    code = re.search(r"enter the code (\d{6})", text)
    assert code
    newcomer.fill("Code", code[1])
    newcomer.press("button", "Confirm that it arrived")
    expect(step(newcomer.page, "Email")).to_contain_text("Done")


def connect_twilio(newcomer: Newcomer, portal: NewPortal) -> None:
    newcomer.press("link", "Connect Twilio")
    newcomer.fill("Account SID", portal.find(r"account (AC\w+)"))
    newcomer.fill("Auth token", portal.find(r"auth token (\S+)"))
    newcomer.fill("Number", portal.find(r"number (\+\d+)"))
    newcomer.press("button", "Save and check")
    newcomer.press("button", "Set both addresses at Twilio")
    expect(step(newcomer.page, "Twilio")).to_contain_text("Done")


def send_test_text(newcomer: Newcomer, portal: NewPortal) -> None:
    """Its arrival is seen on the handset, in the steps of the text and, by itself, in the checklist."""
    checklist = newcomer.page.context.new_page()
    checklist.goto(newcomer.page.url)
    newcomer.press("link", "Send a test text")
    newcomer.fill("Phone number", PHONE)
    newcomer.press("button", "Send test text")
    expect(newcomer.page.locator("#test-result").get_by_text("Final receipt")).to_be_visible()
    handsets = newcomer.page.context.new_page()
    handsets.goto(portal.find(r"Handsets +(\S+)"))
    newcomer.steps += 1
    expect(handsets.get_by_text(re.compile("Harbor Board: this is a test text")).first).to_be_visible()
    expect(step(checklist, "Test text")).to_contain_text("Done")


def step(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_text(title, exact=True))
