"""What happens whenever somebody signs in or out, however they prove who they are."""

from collections.abc import Sequence
from typing import Any

from flask import Flask, request, session
from flask_login import user_logged_out
from flask_security import user_authenticated

from portal.accounts import sign_in_records
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms


def init_app(app: Flask) -> None:
    user_authenticated.connect(_begin, app)
    user_logged_out.connect(_end, app)


def _begin(_app: Flask, user: Account, authn_via: Sequence[str] = (), **_details: Any) -> None:
    """A CSRF token from before sign-in may belong to somebody else."""
    session.pop("csrf_token", None)
    methods = ", ".join(authn_via)
    sign_in_records.record_session_start(user.id, user.external_id, request.remote_addr or "", methods, now_ms())


def _end(_app: Flask, user: Account, **_details: Any) -> None:
    sign_in_records.record_session_end(user.id, user.external_id, request.remote_addr or "", now_ms())
