"""The page of a phone number: status, manual opt-out, removal and move."""

import re

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import WebClient
from tests.web.admin.consent_helpers import (
    LEDGER,
    NEW,
    NUMBER,
    OPT_OUT,
    OTHER,
    OWNERS,
    current_ms,
    is_stopped,
    ledger_kinds,
    submit_opt_out,
    switch_texts_off,
)


def test_number_page_shows_accounts_status_and_history(admin: WebClient, consent_history: None) -> None:
    page = admin.get(NUMBER).text
    assert "Enabled for texts" in page
    assert "Gets its texts" in page
    assert "Olive Owner" in page
    assert "Stan Stranger" in page
    stopped = admin.get(f"{LEDGER}/Numbers/{OTHER}").text
    assert "You cannot undo that here: only a text with the word" in stopped
    assert "/Move/" not in stopped
    assert "who is this &lt;b&gt;?" in stopped


def test_time_within_an_hour_follows_no_since(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    assert "Enabled for texts just now" in visible_text(admin.get(NUMBER).text)
    with app_transaction(web_app):
        db.session.execute(update(PhoneNumber).values(created_at_ms=current_ms() - 5 * 60_000))
    page = visible_text(admin.get(NUMBER).text)
    assert "P-1, added 5 minutes ago" in page
    assert "since" not in page


def test_number_is_opted_out_manually(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    response = submit_opt_out(admin, number="(202) 555-0101", channel="letter", reason="A letter\x00 of “today” & more")
    assert response.status_code == 303
    assert response.location.endswith(NUMBER)
    assert is_stopped(web_app, OWNERS)
    page = admin.get(NUMBER).text
    assert "(202) 555-0101 is opted out and gets no more texts." in page
    assert 'Opted out by an administrator: <span class="verbatim">“A letter of “today” &amp; more”</span>' in page
    assert "How the person asked: letter." in page


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (OWNERS, "Olive Owner, P-1, gets texts there now. They end, including those waiting to be sent."),
        (OWNERS, "Stan Stranger, P-2, gets no texts there now."),
        (OTHER, "Opted out</span>"),
        (NEW, "No account has this number. An account that adds it gets no texts there."),
    ],
)
def test_opt_out_page_names_the_accounts_and_what_ends(
    web_app: Flask, admin: WebClient, consent_history: None, number: str, sentence: str
) -> None:
    before = ledger_kinds(web_app)
    page = admin.post(OPT_OUT, number=number, channel="phone", reason="Rang <b>us</b>").text
    assert sentence in page
    assert "This cannot be undone here." in page
    assert "Rang &lt;b&gt;us&lt;/b&gt;" in page
    assert ledger_kinds(web_app) == before


def test_confirmation_holds_only_for_the_confirmed_number(
    web_app: Flask, admin: WebClient, consent_history: None
) -> None:
    page = admin.post(OPT_OUT, number=NEW, channel="phone", reason="Rang us", confirmed=OWNERS)
    assert "Opt out (202) 555-0166?" in page.text
    assert not is_stopped(web_app, NEW)


@pytest.mark.parametrize("person", ["number_owner", "admin"])
def test_removal_page_names_the_account_and_what_ends(
    request: pytest.FixtureRequest, admin: WebClient, consent_history: None, person: str
) -> None:
    who = request.getfixturevalue(person)
    home = {"number_owner": "/MyAccount/PhoneNumbers", "admin": "/Admin/Accounts/1"}[person]
    (path,) = re.findall(r'href="([^"]+/\d+/remove)"', who.get(home).text)
    page = who.get(path).text
    assert find_page_problems(page) == []
    assert "Olive Owner, P-1" in page
    assert "This account stops getting texts there" in page
    assert ("Stan Stranger" in page) == (person == "admin")
    assert who.post(path).status_code == 303
    assert who.get(path).status_code == 404


def test_removal_page_hides_texts_while_they_are_off(
    web_app: Flask, number_owner: WebClient, consent_history: None
) -> None:
    switch_texts_off(web_app)
    (path,) = re.findall(r'href="([^"]+/\d+/remove)"', number_owner.get("/MyAccount/PhoneNumbers").text)
    assert not re.search(r"\btexts?\b|\bSTART\b|\bSMS\b", number_owner.get(path).text.partition("<main")[2])


def test_other_accounts_number_has_no_removal_page(
    other_user: WebClient, admin: WebClient, consent_history: None
) -> None:
    assert other_user.get("/MyAccount/PhoneNumbers/1/remove").status_code == 404
    assert other_user.get("/Admin/Accounts/1/numbers/1/remove").status_code == 404
    assert admin.get("/Admin/Accounts/2/numbers/1/remove").status_code == 404


@pytest.mark.parametrize("number", ["", "12", "\x00", "9" * 5000, "<script>"])
def test_invalid_form_keeps_everything_typed(
    web_app: Flask, admin: WebClient, consent_history: None, number: str
) -> None:
    before = ledger_kinds(web_app)
    response = admin.post(OPT_OUT, number=number, channel="email", reason="Wrote “stop” & more")
    assert response.status_code == 422
    assert find_page_problems(response.text) == []
    assert "Wrote “stop” &amp; more" in response.text
    assert re.search(r'value="email" checked', response.text)
    assert ledger_kinds(web_app) == before


def test_move_page_names_effects_and_notified_accounts(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    page = admin.get(f"{NUMBER}/Move/2").text
    assert "Those to Olive Owner, P-1, no longer do." in page
    assert "Both get an email" in page
    assert admin.post(f"{NUMBER}/Move/2").status_code == 303
    assert "Stan Stranger, P-2, gets the texts for (202) 555-0101 from now on." in admin.get(NUMBER).text
    with web_app.app_context():
        phone = db.session.scalars(select(PhoneNumber).where(PhoneNumber.receives_sms == True)).one()  # noqa: E712
        assert phone.account.external_id == "P-2"


def test_texts_cannot_be_moved_at_a_stopped_number(web_app: Flask, admin: WebClient, consent_history: None) -> None:
    before = ledger_kinds(web_app)
    path = f"{LEDGER}/Numbers/{OTHER}/Move/2"
    assert "cannot be moved" in admin.get(path).text
    response = admin.post(path)
    assert response.status_code == 422
    assert "Only a text with the word START" in response.text
    assert ledger_kinds(web_app) == before
