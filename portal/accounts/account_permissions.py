"""Who may act on whose account (docs/adr/accounts/0062-access-rules.md)."""

from portal.accounts.rules.access_rules import acting_problem, role_change_problem
from portal.accounts.rules.roles import HIGHEST_ROLE, LOWEST_ROLE
from portal.accounts.tables.accounts import Account
from portal.core.audit_log import has_recent_entry, record_audit_entry
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction

_DENIAL_INTERVAL_MS = 60_000


class NotPermitted(ActionRefused):
    """The actor's role does not allow it."""


def role_of(actor_id: int | None) -> str:
    """Whoever is at the shell may do everything; somebody without an active account nothing."""
    if actor_id is None:
        return HIGHEST_ROLE
    account = db.session.get(Account, actor_id)
    return account.role if account and account.active else LOWEST_ROLE


def require_permission(actor_id: int | None, *accounts: Account) -> None:
    """Raises `NotPermitted`. Every verb that acts on an account calls it, whichever page leads there."""
    role = role_of(actor_id)
    for account in accounts:
        if problem := acting_problem(role, account.role, is_own=account.id == actor_id):
            raise NotPermitted(problem)


def role_problem(actor_id: int | None, account_id: int | None, before: str, after: str) -> str:
    """Why the actor may not give this role; "" if they may. A new account has no id yet."""
    is_own = account_id is not None and account_id == actor_id
    return role_change_problem(role_of(actor_id), before, after, is_own)


def record_denial(route: str, actor_id: int, now_ms: int) -> None:
    """Once a minute for each account and route, so that nobody can fill the audit log."""
    entry = ("access_denied", route, actor_id)
    if has_recent_entry(*entry, now_ms - _DENIAL_INTERVAL_MS):
        return
    with transaction() as session:
        session.get(Account, actor_id, with_for_update=True)  # the second of two requests waits, and finds the entry
        if not has_recent_entry(*entry, now_ms - _DENIAL_INTERVAL_MS):
            record_audit_entry(*entry, now_ms)
