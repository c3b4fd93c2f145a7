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
