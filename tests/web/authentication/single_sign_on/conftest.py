"""Accounts with passwords, and the emails that would be sent."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask_security import hash_password
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.gateways.rules.email_message import OutgoingEmail
from portal.web.account import account_emails
from tests.support.web_client import PASSWORD

hashed = functools.cache(hash_password)
"""Once for all: to be slow is what hashing is for."""


@pytest.fixture(autouse=True)
def accounts_have_passwords(web_app: Flask) -> None:
    with web_app.app_context():
        db.session.execute(update(Account).values(password=hashed(PASSWORD)))
        db.session.commit()


@pytest.fixture
def sent_emails(monkeypatch: pytest.MonkeyPatch) -> list[OutgoingEmail]:
    emails: list[OutgoingEmail] = []
    monkeypatch.setattr(account_emails, "send_mail", lambda _url, _from, mail: emails.append(mail))
    return emails


@pytest.fixture
def configure(web_app: Flask) -> Callable[..., None]:
    """Change settings of the environment."""

    def change(**values: Any) -> None:
        web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], **values)

    return change
"""A portal with a single sign-on, and the provider that it trusts."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal.core.rules.oidc_settings import parse_single_sign_on
from tests.support.fakes.oidc_server import CLIENT_ID, CLIENT_SECRET, OidcServer, running_oidc_server
from tests.support.web_client import PUBLIC_URL

Configure = Callable[..., None]


@pytest.fixture(scope="module")
def oidc_process() -> Iterator[OidcServer]:
    with running_oidc_server(f"{PUBLIC_URL}/SignIn/SingleSignOn/Callback") as server:
        yield server


@pytest.fixture
def provider(oidc_process: OidcServer) -> OidcServer:
    """The provider, which says nothing wrong."""
    vars(oidc_process).update(vars(OidcServer(oidc_process.url, oidc_process.redirect_uri)))
    return oidc_process


@pytest.fixture
def configure(web_app: Flask, provider: OidcServer) -> Configure:
    """Changes the variables of the portal's single sign-on."""

    def configure(password_sign_in: bool = True, **changes: str) -> None:
        variables = {
            "PORTAL_OIDC_ISSUER": provider.url,
            "PORTAL_OIDC_CLIENT_ID": CLIENT_ID,
            "PORTAL_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "PORTAL_OIDC_NAME": "Example Login",
            **changes,
        }
        single_sign_on = parse_single_sign_on(variables)
        settings = replace(web_app.config["PORTAL"], single_sign_on=single_sign_on, password_sign_in=password_sign_in)
        web_app.config["PORTAL"] = settings

    configure()
    return configure
