"""Deactivate an account, so that it gets no messages and nobody signs in with it; and undo that."""

import secrets

from portal.accounts.account_permissions import require_permission
from portal.accounts.rules.roles import HIGHEST_ROLE
from portal.accounts.tables.accounts import Account, lock_accounts, lock_active_accounts
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.messages.tables import transitions


def deactivate_account(account_id: int, actor_id: int | None, now_ms: int) -> int:
    """Return how many waiting messages it ended. Raises `ActionRefused`."""
    with transaction():
        (account,) = lock_accounts(account_id)
        require_permission(actor_id, account)
        require_can_go(account, actor_id)
        ended = end_account(account, now_ms)
        subject, detail = f"account {account.external_id}", {"account_id": account_id, "ended_messages": ended}
        record_audit_entry("account_deactivated", subject, actor_id, now_ms, **detail)
        return ended


def reactivate_account(account_id: int, actor_id: int | None, now_ms: int) -> None:
    """What was ended stays ended. Raises `ActionRefused`."""
    with transaction() as session:
        account = session.get_one(Account, account_id, with_for_update=True)
        require_permission(actor_id, account)
        if problem := reactivation_problem(account):
            raise ActionRefused(problem)
        account.active, account.deactivated_at_ms = True, None
        subject = f"account {account.external_id}"
        record_audit_entry("account_reactivated", subject, actor_id, now_ms, account_id=account_id)


def reactivation_problem(account: Account) -> str:
    if account.erased_at_ms:
        return _("The personal data of this account was erased, so it cannot be used again.")
    if account.merged_into_id:
        return _("This account was merged into another one. Use that one.")
    return _("This account is active already.") if account.active else ""


def require_can_go(account: Account, actor_id: int | None) -> None:
    """Whether the account can be without sign-in and messages from now on. Raises `ActionRefused`."""
    if not account.active:
        raise ActionRefused(_("This account is not active already."))
    if account.id == actor_id:
        raise ActionRefused(_("You cannot deactivate your own account. Ask another administrator."))
    if account.role == HIGHEST_ROLE:
        require_other_sysadmin(account)


def require_other_sysadmin(account: Account) -> None:
    """With a lock, so that two of them cannot remove each other. Raises `ActionRefused`."""
    if lock_active_accounts(HIGHEST_ROLE) <= {account.id}:
        raise ActionRefused(
            _("This is the only active system administrator. Give somebody else that role first, or nobody could.")
        )


def end_account(account: Account, now_ms: int) -> int:
    """Inside a transaction. A new identity ends its sessions and the links that it was sent."""
    account.active, account.deactivated_at_ms, account.fs_uniquifier = False, now_ms, secrets.token_hex(16)
    db.session.flush()
    return transitions.skip_waiting(account.id, Reason.ACCOUNT_DEACTIVATED, now_ms)
