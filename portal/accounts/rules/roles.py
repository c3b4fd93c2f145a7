"""What an account may do, and to whose account (docs/adr/accounts/0051)."""

from portal.core.translation import gettext as _

ROLES = ("user", "admin", "sysadmin")
"""In ascending order: each role may do everything that the roles before it may."""
HIGHEST_ROLE = ROLES[-1]


def may_act_on(actor_role: str, role: str) -> bool:
    return role != HIGHEST_ROLE or actor_role == HIGHEST_ROLE


def acting_problem(actor_role: str, role: str) -> str:
    """Why somebody of this role may do nothing to an account of that one; "" if they may."""
    if may_act_on(actor_role, role):
        return ""
    return _("Only a system administrator can act on the account of a system administrator.")
