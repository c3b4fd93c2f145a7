"""Who visits in the tests of this room, and what they know."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.accounts.tables.accounts import Account
from portal.authentication.session_management import SessionClient, open_session
from portal.core.clock import now_ms
from portal.core.extensions import db

NOW_MS = 1_767_225_600_000
PASSWORD = "correct horse battery"
ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "a-token-of-the-live-account"
PUBLIC_URL = "https://portal.example.org"
FAST_ARGON2 = {"argon2__memory_cost": 8, "argon2__rounds": 1, "argon2__parallelism": 1}
"""The same hash with less work, which is not what the tests of pages wait for."""


@dataclass
class WebClient:
    client: FlaskClient
    _tokens: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **options: object) -> TestResponse:
        """Read to its end, as a server does: a stream that is left open would end in the middle of the next request."""
        return self.client.get(path, base_url=PUBLIC_URL, buffered=True, **options)

    def post(self, path: str, **fields: str) -> TestResponse:
        """As the page's own form would: with the token of the session."""
        return self.post_without_token(path, {"csrf_token": self.csrf_token(), **fields})

    def post_without_token(self, path: str, fields: dict[str, str], **headers: str) -> TestResponse:
        own = self.client.application.config["PORTAL"].public_url
        names = {"Referer": f"{own}/", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.post(path, data=fields, base_url=PUBLIC_URL, headers=names)

    def csrf_token(self) -> str:
        """From the form to sign out, which every page has, or the one to sign in; the same for the whole session."""
        with self.client.session_transaction(base_url=PUBLIC_URL) as session:
            secret = session.get("csrf_token", "")
        return self._tokens.get(secret) or self._token_of_a_page()

    def _token_of_a_page(self) -> str:
        pages = (self.get(path).text for path in ("/nowhere", "/SignIn"))
        matches = (re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page) for page in pages)
        token = next(match[1] for match in matches if match)
        with self.client.session_transaction(base_url=PUBLIC_URL) as session:
            self._tokens[session["csrf_token"]] = token
        return token

    def copy_session(self) -> Callable[[], None]:
        """As somebody who reads the cookies of this browser now, and brings them back later."""
        app, host = self.client.application, urlsplit(PUBLIC_URL).hostname or ""
        with app.app_context():
            name = app.session_interface.get_cookie_name(app)
        cookie = self.client.get_cookie(name, host)
        assert cookie
        return lambda: self.client.set_cookie(name, cookie.value, domain=host)

    def sign_in(self, name: str, password: str = PASSWORD, **fields: str) -> TestResponse:
        return self.post("/SignIn", email=name, password=password, **fields)


def signed_in_client(app: Flask, external_id: str, user_agent: str = "", address: str = "127.0.0.1") -> WebClient:
    """A client with the session that signing in creates."""
    client = app.test_client()
    with app.app_context():
        account_id = db.session.scalars(select(Account.id).where(Account.external_id == external_id)).one()
        opened = open_session(account_id, SessionClient(user_agent, address), "password", None, now_ms())
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session["_user_id"] = opened.token
        session["_fresh"] = True
    return WebClient(client)
