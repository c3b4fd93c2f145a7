"""The own profile: details, an address that a link confirms, a password that the current one allows."""

import re

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.authentication.tables.sign_in_sessions import SignInSession
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from tests.support.page_queries import app_transaction, audit_entries, visible_text
from tests.support.web_client import PASSWORD, PUBLIC_URL, WebClient

URL, NEW = "/MyAccount/Profile", "olive.new@example.org"
pytestmark = pytest.mark.usefixtures("accounts_have_passwords")
NEXT_PASSWORD = "a walnut under the piano"


def olive(app: Flask) -> Account:
    with app.app_context():
        account = find_by_external_id("P-1")
        assert account
        return account


def ask(person: WebClient, address: str = NEW) -> str:
    response = person.post(f"{URL}/Email", email=address)
    response.close()
    return visible_text(response.text if response.status_code == 422 else person.get(URL).text)


def link_in(mail: OutgoingEmail) -> str:
    match = re.search(rf"{PUBLIC_URL}(/MyAccount/Profile/Email/\S+)", mail.text)
    assert match
    return match[1]


def test_details_are_saved(web_app: Flask, number_owner: WebClient) -> None:
    fields = {"name": "Olive Branch", "timezone": "Europe/Vienna", "language": "en"}
    assert number_owner.post(f"{URL}/Details", **fields).status_code == 303
    account = olive(web_app)
    assert (account.name, account.timezone, account.language) == ("Olive Branch", "Europe/Vienna", "en")


BAD = [({"timezone": "Mars/Olympus"}, "There is no such time zone"), ({"name": ""}, "Enter a name.")]
BAD += [({"language": "xx"}, "Choose one of the languages"), ({"name": "y" * 10_240}, "Use at most 200 characters")]


def test_wrong_details_are_told_at_their_field_and_kept(web_app: Flask, number_owner: WebClient) -> None:
    good = {"name": "Olive Branch", "timezone": "Europe/Vienna", "language": "en"}
    for change, message in BAD:
        response = number_owner.post(f"{URL}/Details", **{**good, **change})
        assert (response.status_code, message in visible_text(response.text)) == (422, True), change
        assert f'value="{change.get("timezone", "Europe/Vienna")}"' in response.text


def test_new_address_counts_once_it_is_confirmed_there(
    web_app: Flask, number_owner: WebClient, visitor: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    assert f"We have sent a link to {NEW}." in ask(number_owner)
    assert [(mail.to, "/Email/" in mail.text) for mail in sent_emails] == [(NEW, True), ("owner@example.org", False)]
    assert olive(web_app).email == "owner@example.org"
    link = link_in(sent_emails[0])
    assert NEW in visitor.get(link).text
    assert olive(web_app).email == "owner@example.org"
    visitor.post(link).close()
    assert olive(web_app).email == NEW
    assert (sent_emails[2].to, "no longer to this address" in sent_emails[2].text) == ("owner@example.org", True)
    assert ("account_changed", "account P-1") in audit_entries(web_app)


def test_link_works_once_and_ends_the_sessions_elsewhere(
    web_app: Flask, number_owner: WebClient, visitor: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    ask(number_owner)
    link = link_in(sent_emails[0])
    assert visitor.post(link).headers["Location"] == "/SignIn"
    assert number_owner.get(URL).status_code == 303
    assert visitor.post(link).headers["Location"] == URL
    assert visitor.get("/MyAccount/Profile/Email/forged").headers["Location"] == URL


def test_own_session_goes_on_after_the_change(
    web_app: Flask, number_owner: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    ask(number_owner)
    number_owner.post(link_in(sent_emails[0])).close()
    assert NEW in number_owner.get(URL).text


@pytest.mark.parametrize("change", ["email", "password"])
def test_own_session_that_goes_on_gets_no_longer_and_its_methods_stay(
    web_app: Flask, number_owner: WebClient, sent_emails: list[OutgoingEmail], change: str
) -> None:
    """Only the current password proves again who it is: a link in an email does not."""
    ask(number_owner)
    with app_transaction(web_app):
        long_ago = {"created_at_ms": now_ms() - 5_000_000, "authenticated_at_ms": now_ms() - 4_000_000}
        db.session.execute(update(SignInSession).values(methods="passkey", **long_ago))
    restore_session = number_owner.copy_session()
    if change == "email":
        number_owner.post(link_in(sent_emails[0])).close()
    else:
        fields = {"current": PASSWORD, "password": NEXT_PASSWORD, "password_confirm": NEXT_PASSWORD}
        number_owner.post(f"{URL}/Password", **fields).close()
    assert number_owner.get(URL).status_code == 200
    with web_app.app_context():
        row = db.session.scalars(select(SignInSession)).one()
    assert (row.created_at_ms, row.methods) == (long_ago["created_at_ms"], "passkey")
    assert (row.authenticated_at_ms == long_ago["authenticated_at_ms"]) == (change == "email")
    restore_session()
    assert number_owner.get(URL).status_code == 303, "the token before is dead"


def test_address_of_somebody_else_gets_the_same_answer(
    number_owner: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    unused, taken = ask(number_owner, "nobody@example.org"), ask(number_owner, "stranger@example.org")
    assert unused.replace("nobody@", "stranger@") == taken
    assert [mail.text.replace("nobody", "stranger")[:200] for mail in sent_emails[::2]] == [
        mail.text[:200] for mail in sent_emails[2:3] * 2
    ]


def test_mailbox_cannot_be_flooded(number_owner: WebClient, sent_emails: list[OutgoingEmail]) -> None:
    answers = [ask(number_owner) for _try in range(5)]
    assert "Wait 1 minute, then try again." in answers[-1]
    assert len([mail for mail in sent_emails if mail.to == NEW]) < 5


@pytest.mark.parametrize(("address", "problem"), [("x", "not an email address"), ("owner@example.org", "already")])
def test_impossible_address_is_told_at_its_field(number_owner: WebClient, address: str, problem: str) -> None:
    response = number_owner.post(f"{URL}/Email", email=address)
    assert (response.status_code, problem in response.text, f'value="{address}"' in response.text) == (422, True, True)


def test_password_is_changed_with_the_current_one(
    web_app: Flask, number_owner: WebClient, visitor: WebClient, sent_emails: list[OutgoingEmail]
) -> None:
    fields = {"current": PASSWORD, "password": NEXT_PASSWORD, "password_confirm": NEXT_PASSWORD}
    number_owner.post(f"{URL}/Password", **fields).close()
    assert "Your password is changed." in visible_text(number_owner.get(URL).text)
    assert [mail.to for mail in sent_emails] == ["owner@example.org"]
    assert visitor.sign_in("P-1", NEXT_PASSWORD).status_code == 302
    assert ("password_changed", "account P-1") in audit_entries(web_app)


WRONG = [
    ({"current": "wrong"}, "This is not your current password."),
    ({"password": "short", "password_confirm": "short"}, "12 to 128 characters"),
    ({"password_confirm": "other"}, "The two passwords do not match."),
    ({"current": ""}, "Enter your password."),
]


def test_refused_password_is_told_and_never_shown(web_app: Flask, number_owner: WebClient) -> None:
    good = {"current": PASSWORD, "password": NEXT_PASSWORD, "password_confirm": NEXT_PASSWORD}
    before = olive(web_app).password
    for change, message in WRONG:
        response = number_owner.post(f"{URL}/Password", **{**good, **change})
        assert (response.status_code, message in visible_text(response.text)) == (422, True), change
        assert NEXT_PASSWORD not in response.text
    assert olive(web_app).password == before


def test_current_password_cannot_be_guessed(number_owner: WebClient) -> None:
    fields = {"current": "wrong", "password": NEXT_PASSWORD, "password_confirm": NEXT_PASSWORD}
    answers = [visible_text(number_owner.post(f"{URL}/Password", **fields).text) for _try in range(7)]
    assert "seconds, then try again." in answers[-1]


def test_menu_of_the_account_leads_to_the_profile(number_owner: WebClient, admin: WebClient) -> None:
    for person in (number_owner, admin):
        assert f'href="{URL}"' in person.get("/MyAccount/PhoneNumbers").text
