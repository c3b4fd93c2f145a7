import re
import time

import pytest
from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from portal.settings.setting_changes import set_setting
from portal.web.account import account_emails
from tests.support.web_client import WebClient

pytestmark = pytest.mark.usefixtures("accounts_have_passwords")
WRONG = "The email, account number or password is incorrect."


@pytest.mark.parametrize("name", ["owner@example.org", "OWNER@Example.org", " owner@example.org ", "P-1"])
def test_sign_in_accepts_email_or_account_number(visitor: WebClient, name: str) -> None:
    assert visitor.sign_in(name).status_code == 302
    assert "Olive Owner" in visitor.get("/MyAccount/PhoneNumbers").text


def test_shared_email_can_sign_in_by_account_number(visitor: WebClient) -> None:
    assert visitor.sign_in("V-2").status_code == 302
    assert "V-2" in visitor.get("/MyAccount/PhoneNumbers").text


def test_wrong_name_and_wrong_password_look_the_same(visitor: WebClient) -> None:
    responses = [visitor.sign_in("owner@example.org", "wrong"), visitor.sign_in("nobody@example.org", "wrong")]
    for response in responses:
        assert WRONG in response.text
        assert "does not exist" not in response.text
    assert len({_without_field_values(response.text) for response in responses}) == 1


def test_inactive_account_gets_no_session(web_app: Flask, visitor: WebClient) -> None:
    with web_app.app_context():
        db.session.scalars(select(Account).where(Account.external_id == "P-1")).one().active = False
        db.session.commit()
    assert visitor.sign_in("P-1").status_code == 200
    assert visitor.get("/MyAccount/PhoneNumbers").status_code == 303


def test_sign_in_returns_to_the_requested_page(visitor: WebClient) -> None:
    assert visitor.sign_in("P-1", next="/c/abc").location.endswith("/c/abc")


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_sign_in_never_redirects_to_another_site(visitor: WebClient, target: str) -> None:
    response = visitor.sign_in("P-1", next=target)
    assert not (response.location or "").startswith(("//", "/\\", "http", "javascript"))


def test_sign_out_needs_a_post_and_ends_the_session(number_owner: WebClient) -> None:
    assert number_owner.get("/SignOut").status_code == 405
    assert number_owner.post_without_token("/SignOut", {}).status_code == 400
    assert number_owner.post("/SignOut").status_code == 302
    assert number_owner.get("/MyAccount/PhoneNumbers").status_code == 303


def test_session_cookie_is_protected(visitor: WebClient) -> None:
    cookie = visitor.sign_in("P-1").headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))


def test_reset_link_uses_the_public_address(visitor: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    visitor.post("/ForgotPassword", email="P-1").close()
    assert sent_emails[0].to == "owner@example.org"
    link = re.search(r"https://portal\.example\.org(/ForgotPassword/\S+)", sent_emails[0].text)
    assert link
    assert link.group(1) in sent_emails[0].html
    new = "a different long password"
    assert "Choose a new password" in visitor.get(link.group(1)).text
    changed = visitor.post(link.group(1), password=new, password_confirm=new)
    changed.close()
    assert changed.status_code == 302
    assert visitor.sign_in("P-1", new).status_code == 302
    assert "was changed" in sent_emails[1].subject


def test_reset_request_does_not_reveal_accounts(visitor: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    pages = [visitor.post("/ForgotPassword", email=name) for name in ("owner@example.org", "nobody@example.org")]
    assert len({_without_field_values(page.text) for page in pages}) == 1
    for page in pages:
        page.close()
    assert [mail.to for mail in sent_emails] == ["owner@example.org"]


def test_password_email_ignores_the_email_override(
    web_app: Flask, visitor: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    with web_app.app_context():
        set_setting("EmailOverrideAddress", "rehearsals@example.org", None, now_ms())
        set_setting("EnableEmailOverride", "true", None, now_ms())
    visitor.post("/ForgotPassword", email="P-1").close()
    assert [mail.to for mail in sent_emails] == ["owner@example.org"]


def test_reset_email_is_sent_after_the_response(visitor: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sent_at: list[float] = []
    monkeypatch.setattr(account_emails, "send_mail", lambda *_: sent_at.append(time.monotonic()))
    response = visitor.post("/ForgotPassword", email="P-1")
    answered_at = time.monotonic()
    response.close()
    assert sent_at
    assert sent_at[0] >= answered_at


def test_new_password_ends_other_sessions(
    number_owner: WebClient, visitor: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    visitor.post("/ForgotPassword", email="P-1").close()
    link = re.search(r"/ForgotPassword/\S+", sent_emails[0].text)
    assert link
    visitor.post(link.group(), password="another long one", password_confirm="another long one")
    assert number_owner.get("/MyAccount/PhoneNumbers").status_code == 303


def _without_field_values(page: str) -> str:
    return re.sub(r'(value="[^"]*")', "", page)
