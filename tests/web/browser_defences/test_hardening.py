"""What browsers, proxies and password managers rely on, on every page."""

import re

import pytest
from flask import Flask
from flask_security import hash_password
from passlib.hash import argon2
from sqlalchemy import select, update

from portal.accounts.one_time_links import make_token, read_token
from portal.accounts.tables.accounts import Account
from portal.core.extensions import db, security
from tests.support.web_client import FAST_ARGON2, PASSWORD, PUBLIC_URL, WebClient

_PAGES = ("/SignIn", "/healthz", "/nowhere", "/MyAccount/CommunicationsHistory", "/static/portal.css")
_DOWNLOADS = ("/MyAccount/PersonalData/personal-data.zip", "/SysAdmin/Registration/registration.json")
_WITHOUT_PREFIX = {name.removeprefix("argon2__"): value for name, value in FAST_ARGON2.items()}


@pytest.mark.parametrize("path", _PAGES)
def test_response_names_its_type_and_charset_and_is_closed_to_other_origins(number_owner: WebClient, path: str) -> None:
    response = number_owner.get(path, headers={"Origin": "https://other.example"})
    assert re.fullmatch(r"text/(html|plain|css); charset=utf-8", response.headers["Content-Type"])
    assert not [name for name, _value in response.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PUT", "DELETE"])
def test_methods_that_no_page_needs_are_refused(number_owner: WebClient, method: str) -> None:
    response = number_owner.client.open("/MyAccount/PhoneNumbers", method=method, base_url=PUBLIC_URL)
    assert response.status_code == 405
    assert "session" not in response.text


@pytest.mark.parametrize("path", ["/SignIn", "/SignIn?next=/Admin"])
def test_password_field_is_masked_and_known_to_password_managers(visitor: WebClient, path: str) -> None:
    field = re.search(r"<input[^>]*name=\"password\"[^>]*>", visitor.get(path).text)
    assert field
    assert 'type="password"' in field[0]
    assert 'autocomplete="current-password"' in field[0]
    assert "onpaste" not in field[0]


@pytest.mark.parametrize("changed", [PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD[:-1]])
def test_password_is_compared_exactly_as_typed(web_app: Flask, visitor: WebClient, changed: str) -> None:
    with web_app.app_context():
        db.session.execute(update(Account).values(password=hash_password(PASSWORD)))
        db.session.commit()
    assert visitor.sign_in("P-1", changed).status_code == 200
    assert visitor.sign_in("P-1", PASSWORD).status_code == 302


def test_password_is_hashed_again_once_its_parameters_are_outdated(web_app: Flask, visitor: WebClient) -> None:
    outdated = argon2.using(**{**_WITHOUT_PREFIX, "rounds": 2}).hash(PASSWORD)
    with web_app.app_context():
        db.session.execute(update(Account).values(password=outdated))
        db.session.commit()
    assert visitor.sign_in("P-1").status_code == 302
    with web_app.app_context():
        renewed = db.session.scalar(select(Account.password).where(Account.external_id == "P-1"))
        assert renewed != outdated
        assert not security.pwd_context.needs_update(renewed)


def test_token_of_one_purpose_is_no_token_of_another(web_app: Flask) -> None:
    with web_app.app_context():
        token = make_token("invitation", {"account": 1})
        assert read_token("invitation", token, 60) == {"account": 1}
        assert read_token("email change", token, 60) is None


@pytest.mark.parametrize("path", _DOWNLOADS)
def test_download_is_an_attachment_with_a_name_of_the_portal(sysadmin: WebClient, path: str) -> None:
    disposition = sysadmin.get(path).headers["Content-Disposition"]
    assert re.fullmatch(r"attachment; filename=[a-z-]+\.(zip|json)", disposition)


def test_changed_session_cookie_is_refused(number_owner: WebClient) -> None:
    name = "__Host-session"
    cookie = number_owner.client.get_cookie(name, domain="portal.example.org")
    assert cookie is not None
    head, _dot, signature = cookie.value.rpartition(".")
    number_owner.client.set_cookie(name, f"{head}.{'A' * len(signature)}", domain="portal.example.org")
    assert number_owner.get("/MyAccount/CommunicationsHistory").status_code == 303
