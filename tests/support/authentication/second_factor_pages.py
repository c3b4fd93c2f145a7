"""People whose pages show a second factor: one who has it, and one who is in the middle of signing in with it."""

from flask import Flask
from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.extensions import db
from tests.support.authentication.authenticator_app import enrolled_account
from tests.support.web_client import PUBLIC_URL, WebClient


def show_second_factors(app: Flask, visitor: WebClient) -> None:
    """P-1 has one, and the visitor has entered the password of V-2."""
    for external_id in ("P-1", "V-2"):
        enrolled_account(app, external_id)
    with app.app_context():
        identity = db.session.scalars(select(Account.fs_uniquifier).where(Account.external_id == "V-2")).one()
    with visitor.client.session_transaction(base_url=PUBLIC_URL) as session:
        session["second_step"] = {"identity": identity, "method": "password", "at_ms": now_ms(), "next": "/"}
