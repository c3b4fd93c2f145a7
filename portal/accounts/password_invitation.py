"""Invite somebody to set a first password, by a link that works once and for a week."""

from portal.accounts.account_permissions import require_permission
from portal.accounts.one_time_links import make_token, read_token
from portal.accounts.tables.accounts import Account, find_by_identity
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

_PURPOSE = "password invitation"
LINK_DAYS = 7


def invitation_token(account_id: int, actor_id: int | None, now_ms: int) -> str:
    """Record the invitation. Raises `ActionRefused` for an account that has a password or is not active."""
    with transaction() as session:
        account = session.get_one(Account, account_id)
        require_permission(actor_id, account)
        if problem := invitation_problem(account):
            raise ActionRefused(problem)
        subject = f"account {account.external_id}"
        record_audit_entry("password_invited", subject, actor_id, now_ms, account_id=account_id)
        return make_token(_PURPOSE, {"identity": account.fs_uniquifier})


def invitation_problem(account: Account) -> str:
    if not account.active:
        return _("This account is not active, so nobody can sign in with it.")
    if not settings().password_sign_in:
        return _("Passwords are off: people sign in by single sign-on.")
    return _("This account has a password already. “Forgot password” gives a new one.") if account.password else ""


def invited_account(token: str) -> Account | None:
    """None if the link is too old or was used; a new password changes the identity that it names."""
    values = read_token(_PURPOSE, token, LINK_DAYS * 86_400) or {}
    account = find_by_identity(str(values.get("identity", "")))
    return account if account is not None and not invitation_problem(account) else None
