"""Who calls, by the token in the browser's session. A session begins when somebody signs in (ADR 61)."""

import hashlib
from typing import Any

from flask import Flask, Request, Response, abort, after_this_request, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import user_logged_out
from flask_security import user_authenticated

from portal.accounts.tables.accounts import Account
from portal.authentication import session_management
from portal.authentication.rules.session_limits import ACTIVITY_INTERVAL_MS, SessionEnd, session_end
from portal.authentication.session_management import BrowserSession, SessionClient, session_limits
from portal.authentication.tables.sign_in_sessions import find_with_account
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.translation import gettext as _
from portal.web.account.account_emails import run_after_response
from portal.web.authentication.host_cookies import cookie_name
from portal.web.polling import is_poll
from portal.web.request_input import is_htmx_request, is_webhook_request
from portal.web.time_display import format_duration

_TOKEN = "_user_id"  # noqa: S105  the key whose value Flask-Login gives to the user loader


class _BrowserSessions(SecureCookieSessionInterface):
    """Sessions for browsers only: receipts arrive by the hundred, and opening a session is a good part of the work."""

    digest_method = staticmethod(hashlib.sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return None if is_webhook_request() else super().open_session(app, request)

    def get_cookie_name(self, _app: Flask) -> str:
        return cookie_name("session")

    def get_cookie_secure(self, _app: Flask) -> bool:
        """Only over TLS once the public address has it."""
        return settings().secure_cookies


def init_app(app: Flask) -> None:
    app.session_interface = _BrowserSessions()
    app.login_manager.user_loader(_load_account)  # type: ignore[attr-defined]
    user_authenticated.connect(_open_session, app)
    user_logged_out.connect(_close_session, app)


def current_session() -> BrowserSession | None:
    """None if nobody is signed in. Read `current_user` first, which finds out."""
    current: BrowserSession | None = g.get("sign_in_session")
    return current


def confirm_identity() -> None:
    """The person has just proved again who they are."""
    current = current_session() or abort(401)
    _keep(session_management.renew_session(current, now_ms()) or abort(401))


def go_on_with_new_identity(is_proven: bool) -> None:
    """The person has changed what ends every session. `is_proven` if that was a new proof of who they are."""
    current = current_session() or abort(401)
    at_ms = now_ms() if is_proven else current.authenticated_at_ms
    if carried_over := session_management.carry_over_session(current, at_ms):
        _keep(carried_over)


def forget_ended_session() -> str:
    """Why somebody who was signed in with this browser no longer is, as a sentence; "" if nobody was."""
    ended: SessionEnd | None = g.pop("session_end", None)
    if ended is None:
        return ""
    if not is_htmx_request():  # its answer may arrive after that of a form that renewed the token
        session.pop(_TOKEN, None)
    match ended:
        case SessionEnd.IDLE:
            time = format_duration(g.pop("session_idle_ms"))
            return _("You were signed out after %(time)s without activity.", time=time)
        case SessionEnd.LIFETIME:
            time = format_duration(session_limits().lifetime_ms)
            return _("You were signed out %(time)s after you signed in.", time=time)
    return _("You were signed out, here or on another device.")


def _load_account(token: str) -> Account | None:
    """For Flask-Login, once in a request."""
    found = find_with_account(session_management.token_hash(token))
    if found is None:
        g.session_end = SessionEnd.REVOKED
        return None
    (account, row), limits, at_ms = found, session_limits(), now_ms()
    ended = session_end(row.created_at_ms, row.last_seen_at_ms, account.role, limits, at_ms)
    if ended is not None:
        g.session_end, g.session_idle_ms = ended, limits.idle_ms_of(account.role)
        return None
    g.sign_in_session = BrowserSession(row.id, row.authenticated_at_ms, token)
    if at_ms - row.last_seen_at_ms >= ACTIVITY_INTERVAL_MS and not is_poll():
        _note_activity(row.id, at_ms)
    return account


def _note_activity(session_id: int, at_ms: int) -> None:
    """After the response, which must not wait for a lock."""
    run_after_response(lambda: session_management.note_activity(session_id, at_ms))


def _open_session(_app: Flask, user: Account, authn_via: list[str] | None = None, **_details: Any) -> None:
    client, methods = SessionClient(request.user_agent.string, request.remote_addr or ""), " ".join(authn_via or [])
    _keep(session_management.open_session(user.id, client, methods, current_session(), now_ms()))


def _keep(opened: BrowserSession) -> None:
    """The token takes the place of the identity that Flask-Login has stored."""
    g.sign_in_session, session[_TOKEN] = opened, opened.token


def _close_session(_app: Flask, **_details: Any) -> None:
    """A copied cookie stops working. Other browsers of the account stay signed in.

    The browser forgets pages and notes of this person. Cookies are deleted by name: the header would delete those of
    every site of the domain, and the device's, which lets its owner in while somebody else guesses passwords.
    """
    if current := g.pop("sign_in_session", None):
        session_management.close_session(current.token)
    session.clear()

    @after_this_request
    def _forget_pages(response: Response) -> Response:
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response
