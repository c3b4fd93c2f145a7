"""What happens whenever somebody signs in or out, however they prove who they are."""

from typing import Any

from flask import Flask, request, session
from flask_login import user_logged_in, user_logged_out

from portal.accounts import sign_in_records
from portal.accounts.account_management import end_sessions
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms


def init_app(app: Flask) -> None:
    user_logged_in.connect(_begin, app)
    user_logged_out.connect(_end, app)


def _begin(_app: Flask, user: Account, **_details: Any) -> None:
    """A CSRF token from before sign-in may belong to somebody else."""
    session.pop("csrf_token", None)
    sign_in_records.record_session_start(user.id, user.external_id, request.remote_addr or "", now_ms())


def _end(_app: Flask, user: Account, **_details: Any) -> None:
    """A copied session cookie must stop working on sign-out."""
    account_id, external_id = user.id, user.external_id
    end_sessions(account_id)
    sign_in_records.record_session_end(account_id, external_id, request.remote_addr or "", now_ms())
