"""Who may act on whose account: only a system administrator on that of one (docs/adr/accounts/0051)."""

from portal.accounts.rules.roles import HIGHEST_ROLE, ROLES, acting_problem
from portal.accounts.tables.accounts import Account
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.translation import gettext as _


class NotPermitted(ActionRefused):
    """The actor's role does not allow it."""


def role_of(actor_id: int | None) -> str:
    """Whoever is at the shell may do everything; somebody without an active account nothing."""
    if actor_id is None:
        return HIGHEST_ROLE
    account = db.session.get(Account, actor_id)
    return account.role if account and account.active else ROLES[0]


def require_permission(actor_id: int | None, *accounts: Account) -> None:
    """Raises `NotPermitted`. Every verb that acts on an account calls it, whichever page leads there."""
    role = role_of(actor_id)
    if problem := next(filter(None, (acting_problem(role, account.role) for account in accounts)), ""):
        raise NotPermitted(problem)


def role_problem(actor_id: int | None, before: str, after: str) -> str | None:
    """Why the actor may not give this role."""
    if before == after or role_of(actor_id) == HIGHEST_ROLE:
        return None
    return _("Only a system administrator can give or take a role. Ask one of them.")
