"""The pages that put a new portal into service."""

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.setup import checklist, first_sysadmin
from portal.setup.tables import setup_state
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction
from tests.support.pages.pseudo_locale import untranslated_words, use_pseudo_locale
from tests.support.web_client import WebClient

CHECKLIST = "/SysAdmin/Setup"
PAGES = [CHECKLIST, *(f"{CHECKLIST}/{name}" for name in ("Steps", "Organization", "Email", "Twilio"))]


@pytest.fixture
def link(web_app: Flask) -> str:
    """On a portal without a system administrator."""
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.role == "sysadmin").values(role="admin"))
    with web_app.app_context():
        address = first_sysadmin.issue_link(now_ms())
        assert address
        return address.partition("portal.example.org")[2]


@pytest.fixture
def unfixed(web_app: Flask) -> Flask:
    """No variable is set."""
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], from_environment=frozenset())
    return web_app


def test_link_creates_the_account_and_signs_in(visitor: WebClient, link: str) -> None:
    assert "Set up the portal" in visitor.get(link).text
    person = {"name": "Dana Reyes", "email": "dana@example.org", "password": "quiet-harbor-lamp-7"}
    assert visitor.post(link, **person).location == CHECKLIST
    assert visitor.get(CHECKLIST).status_code == 200
    assert visitor.get(link).location == CHECKLIST


def test_words_of_the_first_page_and_of_a_test_email_underway_are_translated(
    web_app: Flask, visitor: WebClient, link: str, sysadmin: WebClient
) -> None:
    """The walk through all pages sees neither."""
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.external_id == "S-1").values(name="Ελένη"))
        setup_state.remember("email code", now_ms() + 60_000)
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], organisation="Σύλλογος")
    use_pseudo_locale(web_app)
    first_page = visitor.get(link).text
    assert find_page_problems(first_page) == []
    assert untranslated_words(first_page) == []
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.external_id == "S-1").values(role="sysadmin"))
    email_page = sysadmin.get(f"{CHECKLIST}/Email?code=123456").text
    assert 'value="123456"' in email_page
    assert find_page_problems(email_page) == []
    assert untranslated_words(email_page) == []


def test_unusable_link_says_how_to_get_a_new_one(visitor: WebClient, link: str) -> None:
    for response in (visitor.get(f"{link}x"), visitor.post(f"{link}x", name="Dana")):
        assert response.status_code == 410
        assert "portal setup link" in response.text


def test_invalid_input_is_named_and_kept_but_the_password_is_not(visitor: WebClient, link: str) -> None:
    response = visitor.post(link, name="Dana <b>", email="nobody", password="secret-of-dana")
    assert response.status_code == 422
    assert 'value="Dana &lt;b&gt;"' in response.text
    assert "secret-of-dana" not in response.text


def test_only_sysadmins_see_the_setup(admin: WebClient, sysadmin: WebClient) -> None:
    for path in PAGES:
        assert (admin.get(path).status_code, sysadmin.get(path).status_code) == (404, 200), path


def test_menu_asks_to_finish_until_it_is_told_not_to(sysadmin: WebClient, admin: WebClient) -> None:
    assert "Finish setting up" in sysadmin.get("/Admin").text
    assert "Finish setting up" not in admin.get("/Admin").text
    sysadmin.post(f"{CHECKLIST}/Close")
    assert "Finish setting up" not in sysadmin.get("/Admin").text


def test_steps_refresh_themselves_until_all_are_done(
    web_app: Flask, sysadmin: WebClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'hx-trigger="every 5s"' in sysadmin.get(f"{CHECKLIST}/Steps").text
    done = dict.fromkeys(checklist._CHECKS, lambda _now_ms: (True, ""))
    monkeypatch.setattr(checklist, "_CHECKS", done)
    page = sysadmin.get(CHECKLIST).text
    assert "Everything is set up." in page
    assert 'hx-trigger="every 5s"' not in page
    assert "Finish setting up" not in sysadmin.get("/Admin").text


def test_confirmed_step_is_done(sysadmin: WebClient) -> None:
    assert "There are no earlier opt-outs" in sysadmin.get(CHECKLIST).text
    sysadmin.post(f"{CHECKLIST}/Confirm/opt_outs")
    assert "There are no earlier opt-outs" not in sysadmin.get(CHECKLIST).text
    assert sysadmin.post(f"{CHECKLIST}/Confirm/live").status_code == 404


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("name", " ", "Enter the name by which people know you."),
        ("public_url", "http://board.example.org", "must begin with https://"),
        ("time_zone", "America/Springfield", "no such time zone"),
        ("region", "USA", "two letters of a country"),
    ],
)
def test_invalid_organization_is_named_at_its_field(
    unfixed: Flask, sysadmin: WebClient, field: str, text: str, message: str
) -> None:
    fields = {"name": "Harbor", "public_url": "https://a.example.org", "region": "US", "time_zone": "UTC", field: text}
    response = sysadmin.post(f"{CHECKLIST}/Organization", **fields)
    assert response.status_code == 422
    error = re.search(rf'id="field-{field}-error">([^<]*)', response.text)
    assert error
    assert message in html.unescape(error[1])
    assert 'value="Harbor"' in response.text or field == "name"


def test_saved_organization_is_in_force(unfixed: Flask, sysadmin: WebClient) -> None:
    values = {"name": "Harbor Board", "region": "CA", "time_zone": "America/Toronto"}
    response = sysadmin.post(f"{CHECKLIST}/Organization", public_url="https://portal.example.org", **values)
    assert response.location == CHECKLIST
    page = sysadmin.get(f"{CHECKLIST}/Organization").text
    for value in values.values():
        assert f'value="{value}"' in page


def test_secret_that_was_not_saved_must_be_entered_again(unfixed: Flask, sysadmin: WebClient) -> None:
    fields = {"Host": "127.0.0.1", "Port": "1", "User": "u", "Password": "mail-secret", "From": "a@example.org"}
    response = sysadmin.post(f"{CHECKLIST}/Email", **fields)
    assert response.status_code == 422
    assert "nothing listens there" in response.text
    assert "Enter it again" in response.text
    assert "mail-secret" not in response.text


def test_settings_name_the_variable_that_takes_precedence(sysadmin: WebClient) -> None:
    assert "PORTAL_PUBLIC_URL" in sysadmin.get("/SysAdmin/AppConfig").text


def test_variable_is_shown_in_place_of_its_field(sysadmin: WebClient) -> None:
    page = sysadmin.get(f"{CHECKLIST}/Organization").text
    assert "PORTAL_PUBLIC_URL" in page
    assert 'name="public_url"' not in page
    assert sysadmin.post(f"{CHECKLIST}/Organization", name="Harbor Board", time_zone="UTC").location == CHECKLIST


@pytest.mark.parametrize("variable", ["PORTAL_SMTP_URL", "PORTAL_MAIL_FROM"])
def test_variable_of_the_mail_server_is_shown_without_its_password(
    web_app: Flask, sysadmin: WebClient, variable: str
) -> None:
    web_app.config["PORTAL"] = replace(
        web_app.config["PORTAL"],
        from_environment=frozenset({variable}),
        smtp_url="smtps://u:mail-secret@smtp.example.org:465",
    )
    page = sysadmin.get(f"{CHECKLIST}/Email").text
    assert variable in page
    assert "mail-secret" not in page


def test_public_address_that_leads_nowhere_can_be_corrected_on_the_machine(
    unfixed: Flask, sysadmin: WebClient, tmp_path: Path
) -> None:
    local = "http://127.0.0.1:8158"
    unfixed.config["PORTAL"] = replace(
        unfixed.config["PORTAL"],
        local_url=local,
        from_environment=frozenset({"PORTAL_LOCAL_URL"}),
        trusted_hosts=("portal.example.org",),
    )
    fields = {"csrf_token": sysadmin.csrf_token(), "name": "Harbor Board", "region": "US", "time_zone": "UTC"}
    wrong = {**fields, "public_url": "https://typo.example.org"}
    assert sysadmin.post_without_token(f"{CHECKLIST}/Organization", wrong).status_code == 303
    right = {**fields, "public_url": "https://portal.example.org"}
    response = sysadmin.post_without_token(f"{CHECKLIST}/Organization", right, Origin=local)
    assert response.status_code == 303
