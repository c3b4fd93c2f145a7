"""Passkeys in a real browser, over HTTP, with a virtual authenticator."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.support.fakes.stub_servers import serve_app
from tests.support.web_client import PASSWORD

VIRTUAL_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def portal_url(web_app: Flask, configure: Callable[..., None]) -> Iterator[str]:
    """By a name: browsers allow no passkeys at an IP address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    configure(public_url=f"http://localhost:{port}")
    with serve_app(web_app, port):
        yield f"http://localhost:{port}"


@pytest.fixture
def page(chromium: Browser, portal_url: str) -> Iterator[Page]:
    """Fails at the end if the console has shown an error, such as one of the content security policy."""
    errors: list[str] = []
    with contextlib.closing(chromium.new_context(base_url=portal_url)) as context:
        page = context.new_page()
        page.on("console", lambda entry: errors.append(entry.text) if entry.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    assert [error for error in errors if "422" not in error] == []


class Authenticator:
    def __init__(self, page: Page) -> None:
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        self.id = self._send("addVirtualAuthenticator", options=VIRTUAL_AUTHENTICATOR)["authenticatorId"]

    def refuse(self, refuses: bool) -> None:
        """As if the finger were another one."""
        self._send("setUserVerified", authenticatorId=self.id, isUserVerified=not refuses)

    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._send("getCredentials", authenticatorId=self.id)["credentials"]
        return found

    def _send(self, command: str, **parameters: Any) -> Any:
        return self._cdp.send(f"WebAuthn.{command}", parameters)


def sign_in_with_password(page: Page) -> None:
    page.goto("/SignIn")
    page.get_by_label("Email or account number").fill("P-1")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_person_adds_a_passkey_and_signs_in_with_it(page: Page) -> None:
    authenticator = Authenticator(page)
    sign_in_with_password(page)
    page.goto("/MyAccount/Security")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name").fill("Test laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_role("button", name="Remove Test laptop")).to_be_visible()
    (credential,) = authenticator.credentials()
    assert (credential["rpId"], credential["isResidentCredential"]) == ("localhost", True)

    page.goto("/MyAccount/Security/Passkeys/New")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("This device has a passkey for your account already.")).to_be_visible()

    page.context.clear_cookies()
    page.goto("/SignIn?next=/MyAccount/Profile")
    page.get_by_role("button", name="Sign in with a passkey").click()
    authenticator.refuse(True)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("No passkey was used.")).to_be_visible()
    authenticator.refuse(False)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Profile", level=1)).to_be_visible()

    page.context.clear_cookies()
    sign_in_with_password(page)
    expect(page.get_by_role("heading", name="Use your passkey")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/MyAccount/**")


def test_without_javascript_the_page_says_so_and_leads_back(chromium: Browser, portal_url: str) -> None:
    with contextlib.closing(chromium.new_context(base_url=portal_url, java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto("/SignIn/Passkey")
        expect(page.get_by_text("Passkeys need JavaScript, which is off in this browser.")).to_be_visible()
        page.get_by_role("link", name="Back to sign in").click()
        expect(page.get_by_label("Password")).to_be_visible()
