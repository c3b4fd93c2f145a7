"""Only requests to the portal's own names are answered, and what a caller names stands in no link."""

import re
from dataclasses import replace

import pytest
from flask import Flask
from flask_security import hash_password
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.config import ConfigError, load_settings
from portal.core.extensions import db
from portal.gateways.outcomes import Accepted, Outcome
from portal.gateways.rules.email_message import OutgoingEmail
from portal.web.account import account_emails
from tests.support.page_queries import app_transaction
from tests.support.web_client import PASSWORD, PUBLIC_URL, WebClient

ELSEWHERE = "This is not the address of the portal"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "portal.example.org.evil.example", "evil.example:443", "portal.example.org@evil.example"),
        *("", "a b", "192.0.2.7", "portal.example.org/x", "example.org", "127.0.0.1.evil.example", "[::2]"),
    ],
)
@pytest.mark.parametrize("path", ["/SignIn", "/static/portal.css", "/nowhere", "/readyz"])
def test_other_host_is_refused_with_a_page_that_says_why(visitor: WebClient, host: str, path: str) -> None:
    response = visitor.client.get(path, headers={"Host": host, "X-Forwarded-Host": "portal.example.org"})
    assert response.status_code == 400
    assert ELSEWHERE in response.text
    assert PUBLIC_URL in response.text
    assert "evil" not in response.text
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    "host", ["portal.example.org", "PORTAL.example.org:443", "portal.example.org.", "localhost:8000", "[::1]:8000"]
)
def test_own_names_are_answered_at_any_port(visitor: WebClient, host: str) -> None:
    assert visitor.client.get("/SignIn", headers={"Host": host}).status_code == 200


def test_names_that_proxies_use_can_be_added(web_app: Flask, visitor: WebClient) -> None:
    hosts = load_settings({"PORTAL_TRUSTED_HOSTS": "Portal-Upstream, 10.0.0.5, [fd00::5]"}).trusted_hosts
    web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], trusted_hosts=hosts)
    for host in ("portal-upstream:8000", "10.0.0.5", "[fd00::5]:8000"):
        assert visitor.client.get("/SignIn", headers={"Host": host}).status_code == 200, host


@pytest.mark.parametrize("text", ["https://portal", "portal/x", "a b", "*"])
def test_invalid_trusted_host_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="PORTAL_TRUSTED_HOSTS must be names of hosts"):
        load_settings({"PORTAL_TRUSTED_HOSTS": text})


@pytest.fixture
def emails(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the portal writes in emails about accounts."""
    mails: list[str] = []

    def take(_url: str, _sender: str, mail: OutgoingEmail) -> Outcome:
        mails.append(f"{mail.subject} {mail.text} {mail.html}")
        return Accepted("1")

    monkeypatch.setattr(account_emails, "send_mail", take)
    return mails


@pytest.mark.parametrize(
    ("path", "fields", "link"),
    [("/Admin/Accounts/1/Invite", {}, "/SetPassword/"), ("/ForgotPassword", {"email": "A-1"}, "/ForgotPassword/")],
)
def test_links_in_emails_lead_to_the_public_address(
    web_app: Flask, admin: WebClient, emails: list[str], path: str, fields: dict[str, str], link: str
) -> None:
    with app_transaction(web_app):
        db.session.execute(update(Account).where(Account.external_id == "A-1").values(password=hash_password(PASSWORD)))
    forged = {"HTTP_HOST": "127.0.0.1:8000", "HTTP_X_FORWARDED_HOST": "evil.example", "SERVER_NAME": "evil.example"}
    portal = web_app.wsgi_app
    web_app.wsgi_app = lambda environ, start: portal(environ | forged, start)  # type: ignore[assignment, method-assign]
    admin.post(path, **fields).close()
    assert len(emails) == 1
    assert f"{PUBLIC_URL}{link}" in emails[0]
    assert set(re.findall(r"https?://([^/\s\"]+)", emails[0])) == {"portal.example.org"}
