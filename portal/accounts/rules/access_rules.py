"""Who may do what, and to whose objects (docs/access-matrix.md): pages, fragments, files and verbs all ask here.

A route is opened by a role. These rules then decide about the object that an address, a form or a file names.
"""

from portal.accounts.rules.roles import HIGHEST_ROLE, LOWEST_ROLE, ROLES
from portal.core.translation import gettext as _


def reaches_role(role: str, lowest: str) -> bool:
    return ROLES.index(role) >= ROLES.index(lowest)


def is_owner(owner_id: int | None, person_id: int) -> bool:
    """Only the owner sees an object on the pages of one's own, whatever the role of others."""
    return owner_id == person_id


def acting_problem(actor_role: str, role: str, is_own: bool = False) -> str:
    """Why somebody of this role may do nothing to an account of that one; "" if they may."""
    if is_own:
        return ""
    if actor_role == LOWEST_ROLE:
        return _("Only an administrator can act on the account of somebody else.")
    if role == HIGHEST_ROLE and actor_role != HIGHEST_ROLE:
        return _("Only a system administrator can act on the account of a system administrator.")
    return ""


def role_change_problem(actor_role: str, before: str, after: str, is_own: bool = False) -> str:
    """Why somebody of this role may not make this change to the role of an account; "" if they may."""
    if before == after:
        return ""
    if is_own:
        return _("You cannot change your own role. Ask another system administrator.")
    if actor_role != HIGHEST_ROLE:
        return _("Only a system administrator can give or take a role. Ask one of them.")
    return ""


def decision_problem(author_id: int | None, actor_id: int) -> str:
    """Why the actor may not approve or decline the author's send."""
    if is_owner(author_id, actor_id):
        return _("You made this send, so another administrator must decide. You can withdraw it.")
    return ""


def withdrawal_problem(author_id: int | None, actor_id: int) -> str:
    """Why the actor may not withdraw the author's send."""
    if not is_owner(author_id, actor_id):
        return _("Only the person who made this send can withdraw it. You can decline it.")
    return ""
