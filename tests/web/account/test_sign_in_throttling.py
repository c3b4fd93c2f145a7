"""Sign-in throttling in the browser: waits, known devices, and the busy page."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import pytest
from flask import Flask
from flask_security import hash_password
from sqlalchemy import update

from portal import create_app
from portal.accounts import password_hashing
from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.password_hashing import HashLimiter, LimitedPasswordContext
from portal.accounts.rules import throttle_policy
from portal.accounts.tables.accounts import Account
from portal.core.config import load_settings
from portal.core.errors import Busy
from portal.core.extensions import db, security
from portal.gateways.rules.email_message import OutgoingEmail
from portal.web.account import account_emails, sign_in_form, sign_in_pages
from tests.support.web_client import NOW_MS, PASSWORD, WebClient

LIMIT = throttle_policy.FREE_ATTEMPTS["name"] + 1


@pytest.fixture(autouse=True)
def accounts_have_passwords(web_app: Flask) -> None:
    with web_app.app_context():
        chosen = ("P-1", "P-2")
        db.session.execute(
            update(Account).where(Account.external_id.in_(chosen)).values(password=hash_password(PASSWORD))
        )
        db.session.commit()


@pytest.fixture(autouse=True)
def frozen_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sign_in_pages, sign_in_form):
        monkeypatch.setattr(module, "now_ms", lambda: NOW_MS)


@pytest.fixture
def hashing_slots_exhausted(web_app: Flask) -> Iterator[None]:
    limiter = HashLimiter(1, 0, 0.01)
    before, security.pwd_context = security.pwd_context, LimitedPasswordContext(security.pwd_context._context, limiter)
    with limiter.reserve():
        yield
    security.pwd_context = before


def client_at_address(web_app: Flask, address: str) -> WebClient:
    client = web_app.test_client()
    client.environ_base["REMOTE_ADDR"] = address
    return WebClient(client)


def test_signed_in_user_does_not_reset_other_counters(number_owner: WebClient, visitor: WebClient) -> None:
    for _ in range(LIMIT):
        visitor.sign_in("P-2", "wrong horse battery")
    assert (
        number_owner.post_without_token(
            "/SignIn", {"csrf_token": number_owner.csrf_token(), "email": "P-2", "password": "x"}
        ).status_code
        == 302
    )
    assert visitor.sign_in("P-2").status_code == 429


def test_null_byte_in_the_name_shares_the_counter(visitor: WebClient) -> None:
    responses = [visitor.sign_in("P-1" + "\x00" * count, "wrong horse battery").status_code for count in range(14)]
    assert responses == [200] * LIMIT + [429] * (14 - LIMIT)


def test_known_device_can_sign_in_during_an_attack(web_app: Flask) -> None:
    known_device = client_at_address(web_app, "192.0.2.1")
    assert known_device.sign_in("P-1").status_code == 302
    known_device.post("/SignOut")
    for index in range(16):
        client_at_address(web_app, f"198.51.100.{index}").sign_in("P-1", "wrong horse battery")
    assert client_at_address(web_app, "203.0.113.5").sign_in("P-1").status_code == 429
    known_device.client.environ_base["REMOTE_ADDR"] = "198.51.100.1"
    assert known_device.sign_in("P-1").status_code == 302


def test_device_cookie_cannot_be_forged(visitor: WebClient) -> None:
    cookies = visitor.sign_in("P-1").headers.getlist("Set-Cookie")
    device = next(cookie for cookie in cookies if cookie.startswith("__Host-device="))
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(device.split("; "))
    for forged in ("x", "eyJkZXZpY2UiOiJ4IiwiYWNjb3VudHMiOlsxXX0.aaaa.bbbb"):
        visitor.post("/SignOut")
        visitor.client.set_cookie("__Host-device", forged, domain="portal.example.org", secure=True)
        assert visitor.sign_in("P-1").status_code == 302


def test_busy_page_asks_to_try_again(visitor: WebClient, hashing_slots_exhausted: None) -> None:
    response = visitor.sign_in("P-1")
    assert response.status_code == 503
    assert "in a moment" in response.text
    assert response.headers["Retry-After"]


def test_hash_parameters_follow_rfc_9106(tmp_path: Path) -> None:
    with create_app(load_settings({"PORTAL_INSTANCE": str(tmp_path)})).app_context():
        assert hash_password(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_command_line_hashes_are_limited_too(web_app: Flask, hashing_slots_exhausted: None) -> None:
    with web_app.app_context(), pytest.raises(Busy):
        create_account(NewAccount("N-1", "New", "new@example.org", "Staff", password=PASSWORD), 1)


def test_concurrent_hashes_are_limited() -> None:
    running, peak, lock = 0, 0, Lock()

    class Slow:
        def hash(self, _password: str) -> None:
            nonlocal running, peak
            with lock:
                running += 1
                peak = max(peak, running)
            gone.wait(0.01)
            with lock:
                running -= 1

    gone = Event()
    context = LimitedPasswordContext(Slow(), HashLimiter(password_hashing.MAX_CONCURRENT_HASHES, 40, 10))
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(context.hash, ["x"] * 20))
    assert peak == password_hashing.MAX_CONCURRENT_HASHES


@pytest.mark.parametrize("name", ["P-1", "nobody@example.org", "shared@example.org"])
def test_reset_request_computes_no_hash(visitor: WebClient, hashing_slots_exhausted: None, name: str) -> None:
    assert visitor.post("/ForgotPassword", email=name).status_code == 200


def test_reset_requests_per_address_are_limited(web_app: Flask, visitor: WebClient) -> None:
    responses = [
        visitor.post("/ForgotPassword", email=f"nobody-{index}@example.org").status_code for index in range(13)
    ]
    free = throttle_policy.FREE_ATTEMPTS["reset_address"] + 1
    assert responses == [200] * free + [429] * (13 - free)
    assert client_at_address(web_app, "203.0.113.5").post("/ForgotPassword", email="P-1").status_code == 200


def test_all_spellings_of_a_name_get_one_reset_email(visitor: WebClient, monkeypatch: pytest.MonkeyPatch) -> None:
    mails: list[OutgoingEmail] = []
    monkeypatch.setattr(account_emails, "send_mail", lambda _url, _from, mail: mails.append(mail))
    for name in ("P-1", "owner@example.org", "OWNER@example.org", "p-1\x00"):
        visitor.post("/ForgotPassword", email=name).close()
    assert [mail.to for mail in mails] == ["owner@example.org"]
