"""Accounts that share an email: choosing one at sign-in, and one reset email for all of them."""

import re

import pytest
from flask import Flask
from flask_security import hash_password
from sqlalchemy import select, update

from portal.accounts.rules.password_strength import MIN_PASSWORD_LENGTH
from portal.accounts.tables.accounts import Account
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from portal.settings.organisation_changes import save_logo, save_profile
from portal.web.account import account_emails, sign_in_pages
from tests.support.logo_images import png
from tests.support.web_client import NOW_MS, PASSWORD, WebClient

OTHER = "quite another password"
WRONG = "password is incorrect"


@pytest.fixture(autouse=True)
def accounts_have_passwords(web_app: Flask) -> None:
    set_passwords(web_app, PASSWORD, "V-1", "V-2", "P-1")


@pytest.fixture
def sent_emails(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingEmail]:
    emails: list[OutgoingEmail] = []
    monkeypatch.setattr(account_emails, "send_mail", lambda _url, _from, mail: emails.append(mail))
    return emails


def set_passwords(web_app: Flask, password: str, *numbers: str, **values: object) -> None:
    with web_app.app_context():
        chosen = update(Account).where(Account.external_id.in_(numbers))
        db.session.execute(chosen.values(password=hash_password(password), **values))
        db.session.commit()


def id_of(web_app: Flask, number: str) -> str:
    with web_app.app_context():
        return str(db.session.scalar(select(Account.id).where(Account.external_id == number)))


@pytest.mark.parametrize("number", ["V-1", "V-2"])
def test_shared_email_leads_to_the_account_choice(visitor: WebClient, web_app: Flask, number: str) -> None:
    assert visitor.sign_in("Shared@example.org", next="/MyAccount/PhoneNumbers").location == "/SignIn/Account"
    page = visitor.get("/SignIn/Account").text
    assert "V-1" in page
    assert "V-2" in page
    assert visitor.get("/MyAccount/PhoneNumbers").status_code == 303
    chosen = visitor.post("/SignIn/Account", account=id_of(web_app, number))
    assert chosen.location == "/MyAccount/PhoneNumbers"
    assert number in visitor.get("/MyAccount/PhoneNumbers").text


def test_only_accounts_with_this_password_are_offered(visitor: WebClient, web_app: Flask) -> None:
    set_passwords(web_app, OTHER, "V-2")
    assert visitor.sign_in("shared@example.org", OTHER).status_code == 302
    assert "V-2" in visitor.get("/MyAccount/PhoneNumbers").text


@pytest.mark.parametrize("wanted", ["P-1", "S-1", "V-2", "", "0"])
def test_only_offered_accounts_can_be_chosen(visitor: WebClient, web_app: Flask, wanted: str) -> None:
    set_passwords(web_app, PASSWORD, "P-2", email="shared@example.org", email_folded="shared@example.org")
    set_passwords(web_app, OTHER, "V-2")
    visitor.sign_in("shared@example.org")
    response = visitor.post("/SignIn/Account", account=id_of(web_app, wanted))
    assert response.status_code == 422
    assert "Choose an account" in response.text
    assert visitor.get("/MyAccount/PhoneNumbers").status_code == 303


def test_wrong_password_offers_no_choice(visitor: WebClient, web_app: Flask) -> None:
    assert WRONG in visitor.sign_in("shared@example.org", "wrong").text
    assert visitor.get("/SignIn/Account").location == "/SignIn"
    assert visitor.post("/SignIn/Account", account=id_of(web_app, "V-1")).location == "/SignIn"


def test_choice_expires_with_a_password_change(visitor: WebClient, web_app: Flask) -> None:
    visitor.sign_in("shared@example.org")
    set_passwords(web_app, OTHER, "V-1", fs_uniquifier="changed")
    set_passwords(web_app, OTHER, "V-2", active=False)
    assert visitor.get("/SignIn/Account").location == "/SignIn"


def test_one_email_links_every_account(visitor: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    visitor.post("/ForgotPassword", email="SHARED@example.org").close()
    assert [mail.to for mail in sent_emails] == ["shared@example.org"]
    links = re.findall(r"https://portal\.example\.org(/ForgotPassword/\S+)", sent_emails[0].text)
    assert len(set(links)) == 2
    assert all(link in sent_emails[0].html for link in links)
    second = sent_emails[0].text.index("V-2")
    link = re.search(r"/ForgotPassword/\S+", sent_emails[0].text[second:])
    assert link
    visitor.post(link.group(), password=OTHER, password_confirm=OTHER).close()
    assert visitor.sign_in("V-2", OTHER).status_code == 302
    visitor.post("/SignOut")
    assert visitor.sign_in("V-1", PASSWORD).status_code == 302


def test_password_email_has_the_look_of_the_organization(
    visitor: WebClient, web_app: Flask, sent_emails: list[OutgoingEmail]
) -> None:
    with web_app.app_context():
        save_profile("Board of Rivers", "#5b2c83", None, None, NOW_MS)
        save_logo(png(480, 120), None, NOW_MS)
    visitor.post("/ForgotPassword", email="shared@example.org").close()
    assert 'alt="Board of Rivers" width="224" height="56"' in sent_emails[0].html
    assert "background-color: #5b2c83" in sent_emails[0].html
    assert sent_emails[0].text.endswith("\n\nBoard of Rivers")


def test_account_number_resets_that_account_only(visitor: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    visitor.post("/ForgotPassword", email="V-1").close()
    assert "V-1" in sent_emails[0].text
    assert "V-2" not in sent_emails[0].text


def test_inactive_account_is_not_listed(visitor: WebClient, web_app: Flask, sent_emails: list[OutgoingEmail]) -> None:
    set_passwords(web_app, PASSWORD, "V-1", active=False)
    visitor.post("/ForgotPassword", email="shared@example.org").close()
    assert "V-1" not in sent_emails[0].text
    assert "V-2" in sent_emails[0].text


def test_every_name_gets_the_same_response(visitor: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    names = ("shared@example.org", "owner@example.org", "nobody@example.org")
    reset_requests = [visitor.post("/ForgotPassword", email=name) for name in names]
    sign_ins = [visitor.sign_in(name, "wrong horse battery") for name in names]
    for responses in (reset_requests, sign_ins):
        assert {response.status_code for response in responses} == {200}
        assert len({re.sub(r'(value="[^"]*")', "", response.text) for response in responses}) == 1


def test_audit_log_records_reset_link_and_change(
    visitor: WebClient, web_app: Flask, sent_emails: list[OutgoingEmail]
) -> None:
    visitor.post("/ForgotPassword", email="shared@example.org").close()
    link = re.search(r"/ForgotPassword/\S+", sent_emails[0].text)
    assert link
    visitor.post(link.group(), password=OTHER, password_confirm=OTHER).close()
    with web_app.app_context():
        entries = [(entry.action, entry.subject) for entry in db.session.scalars(select(AuditEntry).order_by("id"))]
    assert entries == [
        ("password_link_sent", "account V-1"),
        ("password_link_sent", "account V-2"),
        ("password_changed", "account V-1"),
    ]


def test_reset_link_is_single_use_and_expires(visitor: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    visitor.post("/ForgotPassword", email="P-1").close()
    assert "one hour" in sent_emails[0].text
    assert "one hour" in sent_emails[0].html
    assert sign_in_pages._RESET_LINK_LIFETIME.total_seconds() == 3_600
    link = re.search(r"/ForgotPassword/\S+", sent_emails[0].text)
    assert link
    assert f"At least {MIN_PASSWORD_LENGTH} characters" in visitor.get(link.group()).text
    visitor.post(link.group(), password=OTHER, password_confirm=OTHER).close()
    second_response = visitor.post(link.group(), password=PASSWORD, password_confirm=PASSWORD)
    assert second_response.location == "/ForgotPassword"
    assert visitor.sign_in("P-1", PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("owner@example.org", "your name, email"),
        ("Board of Examples", "the organization"),
        ("Olive.Owner.2026", "your name, email"),
        ("P@ssw0rd1234", "easy to guess"),
        ("short", "12 to 128 characters"),
    ],
)
def test_weak_password_is_rejected_at_its_field(
    visitor: WebClient, sent_emails: list[OutgoingEmail], password: str, rule: str
) -> None:
    visitor.post("/ForgotPassword", email="P-1").close()
    link = re.search(r"/ForgotPassword/\S+", sent_emails[0].text)
    assert link
    page = visitor.post(link.group(), password=password, password_confirm=password).text
    error = re.search(r'id="field-password-error">([^<]+)<', page)
    assert error
    assert rule in error.group(1)
    assert visitor.sign_in("P-1", PASSWORD).status_code == 302
