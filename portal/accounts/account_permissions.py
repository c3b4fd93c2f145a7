"""Who may act on whose account: only a system administrator on that of one (docs/adr/accounts/0051)."""

from collections.abc import Sequence

from sqlalchemy import select

from portal.accounts.rules.roles import HIGHEST_ROLE, ROLES, acting_problem
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.statements import in_list
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


def number_problems(actor_id: int | None, numbers: Sequence[str]) -> dict[str, str]:
    """By number, why the actor may not change whether texts go there: it gets those of a system administrator."""
    if not (problem := acting_problem(role_of(actor_id), HIGHEST_ROLE)):
        return {}
    is_receiving = PhoneNumber.receives_sms == True  # noqa: E712  SQL, not Python
    query = select(PhoneNumber.number).join(Account).where(Account.role == HIGHEST_ROLE, is_receiving)
    return dict.fromkeys(db.session.scalars(query.where(in_list(PhoneNumber.number, numbers))), problem)


def role_problem(actor_id: int | None, before: str, after: str) -> str | None:
    """Why the actor may not give this role."""
    if before == after or role_of(actor_id) == HIGHEST_ROLE:
        return None
    return _("Only a system administrator can give or take a role. Ask one of them.")
