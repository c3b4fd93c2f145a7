"""Distinctive secrets and phone numbers never appear on pages, in logs, in metrics or unencrypted in the database."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from portal.accounts.tables.accounts import Account
from portal.core import logging_setup
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.monitoring.alert_checks import send_test_alert
from portal.monitoring.alert_notices import send_due_notices
from portal.settings.signing import signing_key
from portal.settings.tables.encrypted_columns import encrypted_columns
from portal.setup.first_sysadmin import issue_link
from portal.web.access import public
from tests.support import scenario, servers, settings_cache
from tests.support.canaries.canary_search import CanarySearch, ciphertext_columns, stored_values
from tests.support.fakes.stub_servers import fixed_status_server
from tests.support.pages.page_walk import visit_every_page
from tests.support.web_client import ACCOUNT_SID, WebClient, signed_in_client

NUMBER = "+12025550101"
SECRETS = {
    "live token": "canary1-live-token-5b7d",
    "previous token": "canary2-previous-token-5b7d",
    "API key secret": "canary3-api-key-secret-5b7d",
    "test token": "canary4-test-token-5b7d",
    "webhook secret": "canary5-webhook-secret-5b7d",
    "mail password": "canary6-mail-password-5b7d",
    "mail password of the environment": "canary7-smtp-password-5b7d",
    "password": "canary8-horse-battery-5b7d",
    "wrong password": "canary9-wrong-battery-5b7d",
}
ROLES = {"nobody": "", "user": "P-1", "sysadmin": "S-1"}
"""Administrators see the pages of the sysadmin, but fewer."""


@pytest.fixture
def canary_app(web_app: Flask, sms_enabled: None, sent_communications: dict[str, int]) -> Flask:
    """Every secret is set, and neither Twilio nor the mail server accepts anything."""
    password = SECRETS["mail password of the environment"]
    web_app.config["PORTAL"] = replace(
        web_app.config["PORTAL"],
        smtp_url=f"smtp://portal:{password}@127.0.0.1:{servers.free_port()}",
        twilio_api_url=f"http://127.0.0.1:{servers.free_port()}",
    )
    with web_app.app_context(), fixed_status_server(500) as webhook_url:
        settings_cache.apply_settings(_settings(webhook_url))
        db.session.execute(update(Account).values(password=_password_hash()))
        db.session.commit()
        signing_key(now_ms())
    return web_app


def _settings(webhook_url: str) -> dict[str, str]:
    live = {"AccountSid": ACCOUNT_SID, "AuthToken": SECRETS["live token"]}
    live |= {"PreviousAuthToken": SECRETS["previous token"], "ApiKeySid": f"SK{'1' * 32}"}
    mail = {"Host": "127.0.0.1", "User": "portal", "Password": SECRETS["mail password"], "From": "x@example.org"}
    test = {"AccountSid": f"AC{'2' * 32}", "AuthToken": SECRETS["test token"]}
    return {
        "SmsGatewayAuthentication": json.dumps({**live, "ApiKeySecret": SECRETS["API key secret"]}),
        "TestSmsGatewayAuthentication": json.dumps(test),
        "AlertWebhook": json.dumps({"Url": webhook_url, "Secret": SECRETS["webhook secret"]}),
        "EmailServer": json.dumps(mail),
        "EnableSmsNotifications": "true",
        "SmsGatewayType": "Twilio",
        "SmsGatewaySettings": json.dumps({"FromNumber": "+12025550199"}),
        "TestSmsGatewaySettings": json.dumps({"FromNumber": "+15005550006"}),
    }


def _password_hash() -> str:
    from flask_security import hash_password

    return str(hash_password(SECRETS["password"]))


@pytest.fixture
def debug_log(canary_app: Flask) -> Iterator[io.StringIO]:
    """Of the portal and of every library, down to the least important line."""
    handlers, hook, config = logging.getLogger().handlers, sys.excepthook, structlog.get_config()
    with redirect_stderr(io.StringIO()) as log:
        logging_setup.configure("json")
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    yield log
    logging.getLogger().handlers, sys.excepthook = handlers, hook
    logging.getLogger().setLevel(level)
    structlog.configure(**config)


@pytest.fixture
def search(canary_app: Flask) -> CanarySearch:
    settings = canary_app.config["PORTAL"]
    keys = {"PORTAL_SECRET_KEY": settings.secret_key, "PORTAL_ENCRYPTION_KEY": _encryption_key(settings.instance)}
    return CanarySearch(SECRETS | keys, [NUMBER])


def _encryption_key(instance: Path) -> str:
    path = instance / "encryption_key"
    return path.read_text() if path.exists() else "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="


@pytest.mark.timeout(300)
def test_no_page_log_or_table_shows_a_secret(canary_app: Flask, search: CanarySearch, debug_log: io.StringIO) -> None:
    for role, external_id in ROLES.items():
        visitor = SearchingClient(_client(canary_app, external_id, search), search=search, role=role)
        for address, page in visit_every_page(visitor, canary_app, send_forms=role == "nobody"):
            assert [field for field in _PASSWORD_FIELD.findall(page) if not _is_well_described(field)] == [], address
    _send_and_alert(canary_app)
    log = debug_log.getvalue()
    assert all(line in log for line in ('"level": "debug"', "sign-in attempted", "alert notice failed"))
    search.search_for_everything("log", log)
    with canary_app.app_context(), db.engine.connect() as connection:
        values = list(stored_values(connection))
        assert ciphertext_columns(values) <= {column.label for column in encrypted_columns()}
    for place, value in values:
        search.search_for_secrets(place, value)
    for path in canary_app.config["PORTAL"].instance.glob("portal.sqlite*"):
        search.search_for_secrets(path.name, path.read_bytes())
    for _place, value in (value for value in values if value[0].startswith(("audit_entry.", "throttle_"))):
        search.search_for_everything(_place, value)
    assert search.found == []


_PASSWORD_FIELD = re.compile(r'<input[^>]*type="password"[^>]*>')


def _is_well_described(field: str) -> bool:
    """It sends nothing back, and tells password managers what belongs there."""
    value, purpose = re.search(r'\bvalue="([^"]+)"', field), re.search(r'autocomplete="([^"]+)"', field)
    return value is None and purpose is not None and purpose[1] in ("current-password", "new-password", "off")


@dataclass
class SearchingClient(WebClient):
    """Searches whatever the portal answers, also files, and its headers but for the visitor's own cookies."""

    search: CanarySearch = field(default_factory=lambda: CanarySearch({}))
    role: str = ""

    def get(self, path: str, **options: object) -> TestResponse:
        return self._searched(path, super().get(path, **options))

    def post_without_token(self, path: str, fields: dict[str, str], **headers: str) -> TestResponse:
        return self._searched(f"sent {path}", super().post_without_token(path, fields, **headers))

    def _searched(self, path: str, response: TestResponse) -> TestResponse:
        headers = [f"{name}: {value}" for name, value in response.headers if name != "Set-Cookie"]
        place, content = f"{self.role} {path}", "\n".join(headers).encode() + response.get_data()
        self.search.search_for_secrets(place, content)
        if self.role == "nobody" and NUMBER not in path:  # the sign-in page leads back to the address
            self.search.search_for_everything(place, content)
        return response


def _client(app: Flask, external_id: str, search: CanarySearch) -> FlaskClient:
    """Of somebody who has signed in, after a wrong password."""
    visitor = WebClient(app.test_client())
    for password in (SECRETS["wrong password"], SECRETS["password"]) if external_id else ():
        search.search_for_everything("sign-in", visitor.sign_in(external_id, password).text)
    return signed_in_client(app, external_id).client if external_id else visitor.client


def test_error_page_shows_nothing_of_the_error(
    canary_app: Flask, visitor: WebClient, debug_log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    @public
    def fail() -> str:
        raise ValueError(f"{SECRETS['live token']} {NUMBER}")

    monkeypatch.setitem(canary_app.view_functions, "health.healthz", fail)
    response, search = visitor.get("/healthz"), CanarySearch(SECRETS, [NUMBER])
    assert response.status_code == 500
    assert "ValueError" in debug_log.getvalue()
    for place, text in (("page", response.text), ("log", debug_log.getvalue())):
        search.search_for_everything(place, text)
    assert search.found == []


def _send_and_alert(app: Flask) -> None:
    """Everything fails: the provider, the mail server and the webhook."""
    with app.app_context():
        maintenance.record_heartbeat("a worker", "worker:sms", now_ms())
        scenario.run_sms_worker(seconds=1)
        scenario.run_email_worker()
        send_test_alert(db.session.scalars(select(Account.id).where(Account.external_id == "S-1")).one(), now_ms())
        db.session.remove()
        send_due_notices(now_ms)
        db.session.remove()


def test_tokens_in_links_are_in_no_log_and_no_table(
    canary_app: Flask, visitor: WebClient, debug_log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first system administrator, of a new password, and of a session."""
    mails: list[str] = []
    monkeypatch.setattr(
        "portal.web.account.account_emails.send_mail", lambda _url, _from, mail: mails.append(mail.text)
    )
    visitor.post("/ForgotPassword", email="P-1").close()
    visitor.sign_in("P-2", SECRETS["password"])
    (reset_token,) = re.findall(r"/ForgotPassword/(\S+)", "".join(mails))
    cookies = {cookie.key: cookie.decoded_value for cookie in (visitor.client._cookies or {}).values()}
    visitor.get(f"/ForgotPassword/{reset_token}")
    with canary_app.app_context():
        db.session.execute(update(Account).values(role="user"))
        db.session.commit()
        setup_token = str(issue_link(now_ms())).rpartition("/")[2]
        search = CanarySearch({"reset": reset_token, "setup": setup_token, **cookies})
        assert len(search.secrets) >= 3
        with db.engine.connect() as connection:
            for place, value in stored_values(connection):
                search.search_for_secrets(place, value)
    visitor.get(f"/Setup/{setup_token}")
    search.search_for_secrets("log", debug_log.getvalue())
    assert search.found == []
