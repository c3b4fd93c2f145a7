"""An authenticator app in the hand of a person: it shows the code of a time."""

import html
import re
from dataclasses import dataclass

from flask import Flask
from passlib.totp import TOTP
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.authentication import authenticator_app
from portal.core.clock import now_ms
from portal.core.extensions import db
from tests.support.web_client import WebClient

_STEP_MS = 30_000


@dataclass(frozen=True)
class AuthenticatorApp:
    secret: str

    def code(self, steps: int = 0, at_ms: int | None = None) -> str:
        """That of this time step, or of one before or after it."""
        shown_ms = (now_ms() if at_ms is None else at_ms) + steps * _STEP_MS
        return str(TOTP(self.secret, format="base32").generate(time=shown_ms // 1000).token)

    def wrong_code(self) -> str:
        """One of no step nearby."""
        near = {self.code(steps) for steps in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)


def scanned_app(page: str) -> AuthenticatorApp:
    """The app that was told the key on the page."""
    found = re.search(r'class="secret-key">([A-Z2-7]+)<', page)
    assert found, page
    return AuthenticatorApp(found[1])


def shown_recovery_codes(page: str) -> list[str]:
    return [html.unescape(code) for code in re.findall(r"<li><code>([^<]+)</code>", page)]


def enrol_app(client: WebClient) -> tuple[AuthenticatorApp, list[str]]:
    """As a person does in the browser. Its code of the step before is used up: that of this step still works."""
    page = client.get("/MyAccount/Security/Authenticator").text
    app = scanned_app(page)
    response = client.post("/MyAccount/Security/Authenticator", code=app.code(-1))
    assert response.status_code == 303, response.text
    response.close()
    return app, shown_recovery_codes(page)


def enrolled_account(web_app: Flask, external_id: str) -> tuple[AuthenticatorApp, list[str]]:
    """Without the browser."""
    with web_app.app_context():
        account = db.session.scalars(select(Account).where(Account.external_id == external_id)).one()
        enrolment = authenticator_app.read_enrolment(account.id, authenticator_app.begin_enrolment(account.id))
        assert enrolment
        app = AuthenticatorApp(enrolment.secret)
        authenticator_app.enrol_totp(account, enrolment, app.code(-1), now_ms())
        return app, list(enrolment.recovery_codes)
