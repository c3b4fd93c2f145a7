"""Password guessing, flooding, copied cookies, and secrets in logs."""

import json
import logging
import sys

import pytest
import structlog
from flask import Flask
from sqlalchemy import select

from portal.accounts.rules.throttle_policy import backoff_ms
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.accounts.tables.throttle_counters import ThrottleCounter
from portal.consent.account_phones import add_number
from portal.consent.number_status import number_status
from portal.content import message_templates
from portal.content.rules.merge_fields import MergeError, check_template
from portal.core import logging_setup
from portal.core.extensions import db
from portal.web.account import account_emails
from tests.support.web_client import PUBLIC_URL, WebClient


@pytest.fixture
def owner_has_password(web_app: Flask) -> None:
    from flask_security import hash_password

    with web_app.app_context():
        owner = db.session.scalars(select(Account).where(Account.external_id == "P-1")).one()
        owner.password = hash_password("correct horse battery")
        db.session.commit()


def test_failed_sign_ins_delay_even_the_right_password(visitor: WebClient, owner_has_password: None) -> None:
    for _ in range(6):
        assert visitor.sign_in("P-1", "wrong horse battery").status_code == 200
    refused = visitor.sign_in("P-1")
    assert refused.status_code == 429
    assert "Wait" in refused.text


def test_signing_in_resets_the_failed_attempts(visitor: WebClient, owner_has_password: None, web_app: Flask) -> None:
    for _ in range(3):
        visitor.sign_in("P-1", "wrong horse battery")
    assert visitor.sign_in("P-1").status_code in (302, 303)
    with web_app.app_context():
        assert not [
            row.key
            for row in db.session.scalars(select(ThrottleCounter))
            if row.key.startswith(("name:", "account:", "device:"))
        ]


@pytest.mark.parametrize(("times", "seconds"), [(5, 0), (6, 2), (7, 4), (10, 32), (40, 900)])
def test_each_further_failure_doubles_the_delay(times: int, seconds: int) -> None:
    assert backoff_ms("name", times, 1_000_000, 1_000_000) == seconds * 1000


def test_failed_attempts_expire_after_an_hour() -> None:
    assert backoff_ms("name", 40, 0, 3_600_001) == 0


def test_copied_cookie_is_invalid_after_signing_out(
    visitor: WebClient, owner_has_password: None, web_app: Flask
) -> None:
    visitor.sign_in("P-1")
    session_cookie = visitor.client.get_cookie("__Host-session", domain="portal.example.org")
    assert session_cookie is not None
    cookie = session_cookie.value
    thief = web_app.test_client()
    thief.set_cookie("__Host-session", cookie, domain="portal.example.org", secure=True)
    assert thief.get("/MyAccount/CommunicationsHistory", base_url=PUBLIC_URL).status_code == 200
    visitor.post("/SignOut")
    assert thief.get("/MyAccount/CommunicationsHistory", base_url=PUBLIC_URL).status_code == 303


def test_sign_in_issues_no_remember_cookie_and_no_token(visitor: WebClient, owner_has_password: None) -> None:
    visitor.sign_in("P-1", remember="y")
    assert visitor.client.get_cookie("remember_token", domain="portal.example.org") is None
    response = visitor.post_without_token("/SignIn?include_auth_token", {"email": "P-1", "password": "x"})
    assert response.status_code == 400
    assert visitor.client.post("/SignIn", json={"email": "P-1"}, base_url=PUBLIC_URL).status_code == 400


def test_overlong_password_is_refused_before_hashing(visitor: WebClient) -> None:
    assert visitor.sign_in("P-1", "x" * 5_000).status_code == 413


def test_repeated_reset_requests_send_one_email(
    visitor: WebClient, owner_has_password: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails: list[object] = []
    monkeypatch.setattr(account_emails, "send_mail", lambda *mail: mails.append(mail))
    responses = [visitor.post("/ForgotPassword", email="P-1") for _ in range(3)]
    assert all("have sent a link" in response.text for response in responses)
    for response in responses:
        response.close()
    assert len(mails) == 1


def test_adding_a_strangers_number_reveals_nothing(web_app: Flask) -> None:
    with web_app.app_context():
        stranger = db.session.scalars(select(Account).where(Account.external_id == "P-2")).one()
        number = db.session.get_one(PhoneNumber, add_number(stranger.id, "+12025550101", "", 1))
        assert number_status(number, "us", 2).label == "Not enabled for texts"
        assert "another account" in number_status(number, "us", 2, to_admin=True).label


def test_second_save_of_one_version_is_refused(web_app: Flask) -> None:
    draft = message_templates.TemplateDraft("notice", "Notice", "Subject", "Body")
    with web_app.app_context():
        template_id = message_templates.create_template(draft, None, 1)
        assert message_templates.save_template(template_id, draft, None, 2, base_version=1) == 2
        with pytest.raises(message_templates.VersionConflict):
            message_templates.save_template(template_id, draft, None, 3, base_version=1)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..400) %}" + '{{ "" | append: "" | append: "" }}' * 200 + "{% endfor %}",
        "{% for i in (1..400) %}" + '{{ "" }}' * 500 + "{% endfor %}",
        "{% assign w = '"
        + "a b " * 200
        + "' %}{% for i in (1..400) %}"
        + "{{ w | split: ' ' | sort | size }}" * 60
        + "{% endfor %}",
    ],
)
def test_expensive_template_is_refused(source: str) -> None:
    with pytest.raises(MergeError, match="does too much"):
        check_template(source)


def test_logged_exception_omits_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    handlers, hook, config = logging.getLogger().handlers, sys.excepthook, structlog.get_config()
    try:
        logging_setup.configure("json")
        try:
            raise ValueError("canary +12025550101")
        except ValueError:
            structlog.get_logger().exception("something failed")
            logging.getLogger("library").exception("a library failed")
    finally:
        logging.getLogger().handlers, sys.excepthook = handlers, hook
        structlog.configure(**config)
    written = capsys.readouterr().err
    assert "canary" not in written
    for line in written.strip().splitlines():
        assert json.loads(line)["error"] == "ValueError"
