"""What one key has signed is good under the next, as long as the older key is listed after it."""

import re
from dataclasses import replace
from functools import partial

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask_security import hash_password
from sqlalchemy import update

from portal import create_app
from portal.accounts.authentication import SignInClient
from portal.accounts.one_time_links import make_token, read_token
from portal.accounts.password_reset import reset_token
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.accounts.tables.known_addresses import accounts_known_at
from portal.content.links import link_tokens_of
from portal.core.extensions import db
from portal.web.account import known_devices
from tests.support.page_queries import app_transaction
from tests.support.web_client import NOW_MS, PASSWORD, PUBLIC_URL, WebClient, signed_in_client

NEW_KEY = "the key that came later"


@pytest.fixture(autouse=True)
def owner_has_password(web_app: Flask) -> None:
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.external_id == "P-1").values(password=hash_password(PASSWORD)))


def app_with(web_app: Flask, *keys: str) -> Flask:
    return create_app(replace(web_app.config["PORTAL"], secret_keys=keys))


def old_key(web_app: Flask) -> str:
    return str(web_app.config["PORTAL"].secret_key)


@pytest.mark.parametrize("keeps_old_key", [True, False])
def test_everything_signed_lasts_as_long_as_its_key_is_listed(
    web_app: Flask, visitor: WebClient, keeps_old_key: bool
) -> None:
    visitor.sign_in("P-1")
    token = visitor.csrf_token()
    with web_app.app_context():
        account = find_by_external_id("P-1")
        assert account
        account_id, reset, link = account.id, reset_token(account), make_token("purpose", {"a": 1})
        requested = link_tokens_of("request")[0]
    keys = (NEW_KEY, old_key(web_app)) if keeps_old_key else (NEW_KEY,)
    visitor.client.application = after = app_with(web_app, *keys)
    with after.app_context():
        known = accounts_known_at([account_id], SignInClient("127.0.0.1").address_hashes, NOW_MS)
        found = [read_token("purpose", link, 60) == {"a": 1}, requested in link_tokens_of("request"), bool(known)]
    with after.test_request_context(base_url=PUBLIC_URL, headers={"Cookie": cookies_of(visitor)}):
        found.append(known_devices.current_client().known_account_ids == (account_id,))
    found.append(visitor.get("/MyAccount/Profile").status_code == 200)
    details = {"csrf_token": token, "name": "Olive", "timezone": "UTC", "language": ""}
    found.append(visitor.post_without_token("/MyAccount/Profile/Details", details).location == "/MyAccount/Profile")
    page = WebClient(after.test_client()).get(f"/ForgotPassword/{reset}")
    found.append("Confirm new password" in page.text)
    assert found == [keeps_old_key] * len(found)


def cookies_of(visitor: WebClient) -> str:
    names = ("__Host-session", "__Host-device")
    cookies = [visitor.client.get_cookie(name, domain="portal.example.org") for name in names]
    return "; ".join(f"{cookie.key}={cookie.value}" for cookie in cookies if cookie)


def test_the_newest_key_signs(web_app: Flask) -> None:
    rotated = app_with(web_app, NEW_KEY, old_key(web_app))
    with rotated.app_context():
        account = find_by_external_id("P-1")
        assert account
        reset, link = reset_token(account), make_token("purpose", {"a": 1})
    client = signed_in_client(rotated, "P-1")
    form = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/MyAccount/Profile").text)
    cookie = client.client.get_cookie("__Host-session", domain="portal.example.org")
    assert form
    assert cookie
    newest = app_with(web_app, NEW_KEY)
    with newest.app_context():
        assert read_token("purpose", link, 60)
    client.client.application = newest
    assert client.get("/MyAccount/Profile").status_code == 200
    assert client.post_without_token("/SignOut", {"csrf_token": form[1]}).status_code == 302
    assert "Confirm new password" in WebClient(newest.test_client()).get(f"/ForgotPassword/{reset}").text


def test_a_session_signed_with_sha_1_leads_to_sign_in(web_app: Flask, number_owner: WebClient) -> None:
    with number_owner.client.session_transaction(base_url=PUBLIC_URL) as session:
        values = dict(session)
    serializer = SecureCookieSessionInterface().get_signing_serializer(web_app)
    assert serializer
    thief = web_app.test_client()
    set_cookie = partial(thief.set_cookie, domain="portal.example.org", secure=True)
    set_cookie("__Host-session", str(serializer.dumps(values)))
    assert thief.get("/MyAccount/Profile", base_url=PUBLIC_URL).location == "/SignIn?next=/MyAccount/Profile"


def test_csrf_tokens_are_signed_with_sha_256(number_owner: WebClient) -> None:
    signature = number_owner.csrf_token().rpartition(".")[2]
    assert len(signature) == 43, "the length of 32 bytes in base64"
