"""Open, renew and end the sessions of people who sign in. Browsers hold a token, and the table its hash (ADR 61)."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace

from sqlalchemy import ColumnElement

from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.accounts import Account
from portal.authentication.rules.devices import Device, device_of
from portal.authentication.rules.session_limits import ACTIVITY_INTERVAL_MS, SessionLimits, session_end
from portal.authentication.tables import sign_in_sessions as table
from portal.authentication.tables.sign_in_sessions import SignInSession
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.transaction import transaction

_TOKEN_BYTES = 32
_DAY_MS = 86_400_000
"""How long a session that is over is kept, so that its browser can be told why it is."""


@dataclass(frozen=True)
class SessionClient:
    """Where somebody signs in."""

    user_agent: str
    address: str

    @property
    def device(self) -> Device:
        return device_of(self.user_agent)


@dataclass(frozen=True)
class BrowserSession:
    """The session of a browser that is signed in, with what only that browser knows: its token."""

    id: int
    authenticated_at_ms: int
    """The last proof of identity."""
    token: str = field(repr=False)


def session_limits() -> SessionLimits:
    own = settings()
    seconds = (own.session_idle_seconds, own.session_idle_admin_seconds, own.session_lifetime_seconds)
    return SessionLimits(*(round(each * 1000) for each in seconds))


def open_session(
    account_id: int, client: SessionClient, methods: str, previous: BrowserSession | None, now_ms: int
) -> BrowserSession:
    """The previous session of the same browser ends: a token from before the sign-in must not gain rights."""
    token, device = _new_token(), client.device
    times = dict.fromkeys(("created_at_ms", "last_seen_at_ms", "authenticated_at_ms"), now_ms)
    client_values = {"browser": device.browser, "system": device.system, "address": client.address, "methods": methods}
    with transaction() as session:
        if previous:
            table.delete_by_token(token_hash(previous.token))
        identity = session.get_one(Account, account_id).fs_uniquifier
        row = SignInSession(
            account_id=account_id, token_hash=token_hash(token), identity=identity, **client_values, **times
        )
        session.add(row)
        session.flush()
        return BrowserSession(row.id, now_ms, token)


def renew_session(current: BrowserSession, now_ms: int) -> BrowserSession | None:
    """After a new proof of identity: the session goes on under a new token. None if it has ended."""
    token = _new_token()
    with transaction():
        is_renewed = table.replace_token(token_hash(current.token), token_hash(token), now_ms)
    return replace(current, authenticated_at_ms=now_ms, token=token) if is_renewed else None


def carry_over_session(current: BrowserSession, authenticated_at_ms: int) -> BrowserSession | None:
    """After its owner changed what ends every session: this one goes on, under a new token. None if it has ended."""
    token = _new_token()
    with transaction():
        is_carried_over = table.carry_over(token_hash(current.token), token_hash(token), authenticated_at_ms)
    return replace(current, authenticated_at_ms=authenticated_at_ms, token=token) if is_carried_over else None


def note_activity(session_id: int, now_ms: int) -> None:
    with transaction():
        table.note_activity(session_id, now_ms - ACTIVITY_INTERVAL_MS, now_ms)


def close_session(token: str) -> None:
    """When its owner signs out."""
    with transaction():
        table.delete_by_token(token_hash(token))


def valid_sessions(account: Account, now_ms: int) -> list[SignInSession]:
    """Where somebody is signed in as this account. The one that was used last comes first."""
    limits, role = session_limits(), account.role
    return [
        each
        for each in table.sessions_of(account.id)
        if session_end(each.created_at_ms, each.last_seen_at_ms, role, limits, now_ms) is None
    ]


def revoke_session(account_id: int, session_id: int, actor_id: int | None, now_ms: int) -> bool:
    """End one. False if it had ended already."""
    return _revoke(account_id, actor_id, now_ms, SignInSession.id == session_id) > 0


def revoke_other_sessions(account_id: int, kept_id: int, actor_id: int | None, now_ms: int) -> int:
    """Return how many ended."""
    return _revoke(account_id, actor_id, now_ms, SignInSession.id != kept_id)


def revoke_all_sessions(account_id: int, actor_id: int | None, now_ms: int) -> int:
    """As if nobody had signed in: links that were sent, and devices that are trusted, end with the identity, too."""
    with transaction() as session:
        account = session.get_one(Account, account_id, with_for_update=True)
        require_permission(actor_id, account)
        ended = table.delete_of_account(account_id)
        account.fs_uniquifier = secrets.token_hex(16)
        _record(account, ended, actor_id, now_ms)
    return ended


def _revoke(account_id: int, actor_id: int | None, now_ms: int, *conditions: ColumnElement[bool]) -> int:
    with transaction() as session:
        account = session.get_one(Account, account_id)
        require_permission(actor_id, account)
        ended = table.delete_of_account(account_id, *conditions)
        if ended:
            _record(account, ended, actor_id, now_ms)
    return ended


def _record(account: Account, ended: int, actor_id: int | None, now_ms: int) -> None:
    subject, detail = f"account {account.external_id}", {"account_id": account.id, "sessions": ended}
    record_audit_entry("sessions_revoked", subject, actor_id, now_ms, **detail)


def delete_ended_sessions(now_ms: int) -> None:
    """Those that are long over, and those of an identity that was replaced: by a new password, role or address."""
    ids = table.ended_ids(now_ms - session_limits().lifetime_ms - _DAY_MS)
    db.session.rollback()
    if ids:
        with transaction():
            table.delete_by_ids(ids)


def token_hash(token: str) -> str:
    """Without a key or salt: nobody can try 2^256 tokens."""
    return hashlib.sha256(token.encode()).hexdigest()


def _new_token() -> str:
    return secrets.token_urlsafe(_TOKEN_BYTES)
