"""Who chooses the language of a page, of an error and of an email: the account, else the browser, else the portal."""

from dataclasses import replace

import pytest
from flask import Flask, Response
from flask_security import hash_password
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.content.email_rendering import build_mail
from portal.core.extensions import db
from portal.core.translation import current_language, language_named
from portal.gateways.rules.email_message import OutgoingEmail
from portal.messages.tables.communications import Communication, Delivery
from portal.web.account import account_emails
from portal.web.authentication import browser_sessions
from tests.support.page_queries import app_transaction
from tests.support.pages.page_data import add_template_draft
from tests.support.pages.page_walk import visit_every_page
from tests.support.pages.pseudo_locale import VisibleWords
from tests.support.pages.sends_to_show import add_sends_to_show
from tests.support.web_client import PASSWORD, PUBLIC_URL, WebClient

HISTORY = "/MyAccount/CommunicationsHistory"
SPANISH = "¿Olvidó su contraseña?"
ENGLISH = "Forgot your password?"
"""On the sign-in page."""


def use_default(app: Flask, code: str) -> None:
    app.config["PORTAL"] = replace(app.config["PORTAL"], language=code)


def choose(app: Flask, external_id: str, code: str) -> None:
    with app_transaction(app):
        db.session.execute(update(Account).where(Account.external_id == external_id).values(language=code))


def language_of(app: Flask, external_id: str) -> str:
    with app.app_context():
        account = find_by_external_id(external_id)
        assert account
        return account.language


def html_language(page: str) -> str:
    return page.partition('<html lang="')[2][:2]


def ask_in(visitor: WebClient, languages: str) -> str:
    return html_language(visitor.get("/SignIn", headers={"Accept-Language": languages}).text)


ACCEPTED = {
    "es": "es",
    "es-MX,es;q=0.9,en;q=0.8": "es",
    "ES-us": "es",
    "en-US,en;q=0.9,es;q=0.8": "en",
    "en;q=0.5, es;q=0.9": "es",
    "fr-FR, es;q=0.3": "es",
    "fr, de": "default",
    "": "default",
    "*": "default",
    "fr, *;q=0.1": "default",
    ";;;q=,\t%": "default",
    "x" * 10_000: "default",
}


@pytest.mark.parametrize("default", ["en", "es"])
def test_visitor_gets_the_first_language_of_the_browser_that_the_portal_speaks(
    web_app: Flask, visitor: WebClient, default: str
) -> None:
    use_default(web_app, default)
    found = {languages: ask_in(visitor, languages) for languages in ACCEPTED}
    expected = {languages: default if code == "default" else code for languages, code in ACCEPTED.items()}
    assert found == expected


def test_choice_of_the_browser_lasts_and_goes_before_what_it_accepts(web_app: Flask, visitor: WebClient) -> None:
    response = visitor.post("/Language", language="es", next="/ForgotPassword?x=1")
    assert (response.status_code, response.headers["Location"]) == (303, "/ForgotPassword?x=1")
    cookie = next(value for value in response.headers.getlist("Set-Cookie") if value.startswith("__Host-language="))
    assert all(part in cookie for part in ("language=es", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=31536000"))
    page = visitor.get("/SignIn", headers={"Accept-Language": "en"})
    assert SPANISH in page.text
    assert page.headers["Content-Language"] == "es"
    assert {"Accept-Language", "Cookie"} <= set(page.vary)
    visitor.post("/Language", language="en", next="/SignIn")
    assert ENGLISH in visitor.get("/SignIn", headers={"Accept-Language": "es"}).text


def test_switch_leads_back_to_its_page(web_app: Flask, visitor: WebClient) -> None:
    page = visitor.get("/SignIn?next=%2Fc%2Fx").text
    assert '<input type="hidden" name="next" value="/SignIn?next=%2Fc%2Fx">' in page
    assert '<span lang="en" aria-current="true">English</span>' in page
    assert '<button name="language" value="es" lang="es"' in page


@pytest.mark.parametrize("code", ["xx", "", "ES", "../../etc", "é" * 4_000])
def test_unknown_choice_is_ignored(web_app: Flask, visitor: WebClient, code: str) -> None:
    response = visitor.post("/Language", language=code, next="//evil.example.org/")
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    visitor.client.set_cookie("__Host-language", code[:100], domain="portal.example.org")
    assert ENGLISH in visitor.get("/SignIn").text


@pytest.mark.parametrize("stored", ["xx", "ES"])
def test_language_that_the_portal_does_not_speak_counts_as_none(
    web_app: Flask, number_owner: WebClient, stored: str
) -> None:
    use_default(web_app, stored)
    assert "Not chosen: messages are in English" in number_owner.get("/MyAccount/Profile").text
    use_default(web_app, "es")
    choose(web_app, "P-1", stored)
    with app_transaction(web_app):
        assert recipient_language(stored).code == "es"
    assert html_language(number_owner.get(HISTORY, headers={"Accept-Language": "en"}).text) == "en", "of the browser"


def test_choice_needs_the_token_of_the_page(web_app: Flask, visitor: WebClient) -> None:
    assert visitor.post_without_token("/Language", {"language": "es"}).status_code == 400
    assert ENGLISH in visitor.get("/SignIn").text


def test_language_of_the_account_goes_before_that_of_the_browser(web_app: Flask, number_owner: WebClient) -> None:
    choose(web_app, "P-1", "es")
    for path in (HISTORY, "/nowhere"):
        assert html_language(number_owner.get(path, headers={"Accept-Language": "en"}).text) == "es"
    choose(web_app, "P-1", "")
    assert html_language(number_owner.get(HISTORY, headers={"Accept-Language": "es"}).text) == "es"
    choose(web_app, "P-1", "en")
    assert html_language(number_owner.get(HISTORY, headers={"Accept-Language": "es"}).text) == "en"


def test_switch_changes_the_language_of_the_account(web_app: Flask, number_owner: WebClient) -> None:
    number_owner.post("/Language", language="es", next=HISTORY)
    assert language_of(web_app, "P-1") == "es"
    assert html_language(number_owner.get(HISTORY).text) == "es"


def test_profile_is_saved_and_answers_in_the_new_language(web_app: Flask, number_owner: WebClient) -> None:
    fields = {"name": "Olive Owner", "timezone": "America/New_York", "language": "es"}
    page = number_owner.get(number_owner.post("/MyAccount/Profile/Details", **fields).headers["Location"]).text
    assert html_language(page) == "es"
    assert "Your profile is saved." not in page
    assert '<option value="es" selected>Español</option>' in page
    number_owner.post("/MyAccount/Profile/Details", **fields | {"language": ""})
    assert html_language(number_owner.get(HISTORY, headers={"Accept-Language": "en"}).text) == "en"


@pytest.mark.parametrize(("stored", "kept"), [("", "es"), ("en", "en")])
def test_choice_made_before_signing_in_is_kept_for_an_account_without_one(
    web_app: Flask, visitor: WebClient, stored: str, kept: str
) -> None:
    with app_transaction(web_app):
        values = {"password": hash_password(PASSWORD), "language": stored}
        db.session.execute(update(Account).where(Account.external_id == "P-1").values(values))
    visitor.post("/Language", language="es", next="/SignIn")
    assert visitor.sign_in("P-1").status_code == 302
    assert language_of(web_app, "P-1") == kept
    assert html_language(visitor.get(HISTORY).text) == kept


@pytest.mark.parametrize("first", ["es", ""])
def test_language_of_one_account_does_not_become_that_of_the_next_in_the_same_browser(
    web_app: Flask, visitor: WebClient, first: str
) -> None:
    """`first` is stored, or chosen before signing in."""
    with app_transaction(web_app):
        values = {"password": hash_password(PASSWORD), "language": ""}
        db.session.execute(update(Account).where(Account.external_id.in_(["P-1", "P-2"])).values(values))
    choose(web_app, "P-1", first)
    if not first:
        visitor.post("/Language", language="es", next="/SignIn")
    visitor.sign_in("P-1")
    visitor.post("/SignOut")
    assert html_language(visitor.get("/SignIn").text) == "es"
    assert visitor.sign_in("P-2").status_code == 302
    assert language_of(web_app, "P-2") == ""
    assert html_language(visitor.get(HISTORY).text) == "en"


def test_errors_are_in_the_language_of_the_reader(web_app: Flask, number_owner: WebClient) -> None:
    choose(web_app, "P-1", "es")
    refused = number_owner.post_without_token("/MyAccount/Profile/Details", {"name": "x"})
    assert (refused.status_code, html_language(refused.text)) == (400, "es")
    notice = number_owner.post_without_token("/MyAccount/Profile/Details", {"name": "x"}, HX_Request="true")
    assert "This page was open too long" not in notice.text
    assert language_named("es").catalog.gettext("This page was open too long") in notice.text


def test_page_without_database_is_in_the_language_of_the_browser(
    number_owner: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception())

    number_owner.post("/Language", language="es", next="/")
    monkeypatch.setattr(browser_sessions, "find_with_account", fail)
    broken = number_owner.get(HISTORY)
    assert (broken.status_code, html_language(broken.text)) == (500, "es")


def test_accounts_are_found_by_the_language_that_they_read(web_app: Flask, admin: WebClient) -> None:
    choose(web_app, "P-1", "es")
    choose(web_app, "P-2", "en")

    def found(language: str) -> set[str]:
        page = admin.get(f"/Admin/Accounts?language={language}").text
        return {number for number in ("P-1", "P-2", "V-1") if f">{number}<" in page}

    assert (found("es"), found("en")) == ({"P-1"}, {"P-2", "V-1"})
    use_default(web_app, "es")
    assert (found("es"), found("en"), found("xx")) == ({"P-1", "V-1"}, {"P-2"}, {"P-1", "P-2", "V-1"})


def test_webhook_answers_in_english(web_app: Flask) -> None:
    seen: list[str] = []

    @web_app.after_request
    def look(response: Response) -> Response:
        seen.append(current_language().code)
        return response

    web_app.test_client().post("/webhooks/sms/status", base_url=PUBLIC_URL, headers={"Accept-Language": "es"})
    assert seen == ["en"]


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingEmail]:
    emails: list[OutgoingEmail] = []
    monkeypatch.setattr(account_emails, "send_mail", lambda _url, _sender, mail: emails.append(mail))
    return emails


@pytest.mark.parametrize(
    ("chosen", "default", "subject"), [("es", "en", "Elegir"), ("", "es", "Elegir"), ("en", "es", "Choose")]
)
def test_email_is_in_the_language_of_its_recipient_and_not_of_who_asks(
    web_app: Flask, visitor: WebClient, mailbox: list[OutgoingEmail], chosen: str, default: str, subject: str
) -> None:
    choose(web_app, "P-1", chosen)
    use_default(web_app, default)
    visitor.post("/ForgotPassword", email="P-1").close()
    (mail,) = mailbox
    assert mail.subject.startswith(subject)
    assert html_language(mail.html) == (chosen or default)


def test_frame_of_a_notification_is_in_the_language_of_its_recipient(
    web_app: Flask, sent_communications: dict[str, int], admin: WebClient
) -> None:
    choose(web_app, "P-1", "es")
    with web_app.app_context():
        query = db.select(Delivery).join(Communication).where(Delivery.channel == "email")
        delivery = db.session.scalars(query.where(Communication.id == sent_communications["P-1"])).one()
        mail = build_mail(delivery)
    button = language_named("es").catalog.gettext("View it in the portal")
    assert html_language(mail.html) == "es"
    assert (button in mail.html, f"{button}:" in mail.text) == (True, True)
    assert button in admin.get(f"/Admin/Communications/{sent_communications['P-1']}/email").text


@pytest.fixture
def spanish_portal(
    web_app: Flask, sms_enabled: None, sent_communications: dict[str, int], recipient_file: int
) -> Flask:
    add_template_draft(web_app)
    with app_transaction(web_app):
        add_sends_to_show()
        db.session.execute(update(Account).values(language="es"))
    use_default(web_app, "es")
    return web_app


@pytest.mark.parametrize("role", ["nobody", "user", "sysadmin"])
def test_no_page_in_spanish_shows_an_english_sentence(
    spanish_portal: Flask, visitor: WebClient, number_owner: WebClient, sysadmin: WebClient, role: str
) -> None:
    english = {
        " ".join(message.split())
        for message, spanish in language_named("es").catalog._catalog.items()  # type: ignore[attr-defined]
        if isinstance(message, str) and " " in message and message != spanish
    }
    first_seen: dict[str, str] = {}
    person = {"nobody": visitor, "user": number_owner, "sysadmin": sysadmin}[role]
    for address, page in visit_every_page(person, spanish_portal, send_forms=True):
        if not address.startswith(("/static", "/metrics", "/healthz", "/readyz", "/styleguide")):
            words = {" ".join(found.split()) for found in VisibleWords(page).words}
            first_seen |= dict.fromkeys(words & english - set(first_seen), address)
    assert first_seen == {}
