"""Which account belongs to somebody whom the provider of the single sign-on has identified."""

import secrets
from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import select

from portal.accounts.rules.roles import HIGHEST_ROLE
from portal.accounts.tables.accounts import Account, find_by_external_id, lock_accounts, lock_active_accounts
from portal.authentication.rules.identity_claims import (
    email_claim,
    is_email_verified,
    is_same_address,
    role_from_claims,
)
from portal.authentication.tables.external_identities import (
    ExternalIdentity,
    delete_identities,
    find_external_identity,
    identities_of,
)
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_case
from portal.core.rules.oidc_settings import SingleSignOn
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

Claims = Mapping[str, Any]
_log = structlog.get_logger(__name__)


class SignOnRefused(ActionRefused):
    """Nobody is signed in. `reason` is for the log."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def find_or_connect_account(config: SingleSignOn, claims: Claims, now_ms: int) -> Account:
    """By issuer and subject; at the first time by a verified address. Inside a transaction. Raises `SignOnRefused`."""
    subject = str(claims["sub"])
    identity = find_external_identity(config.issuer, subject)
    if identity is None:
        (account,) = lock_accounts(_account_with_address(config, claims))
        identity = _connect(account, config.issuer, subject, account.id, now_ms)
    else:
        (account,) = lock_accounts(identity.account_id)
    if not account.active:
        raise SignOnRefused(_("Your account is not active. Ask an administrator."), "account not active")
    identity.last_used_at_ms = now_ms
    return account


def connect_identity(external_id: str, issuer: str, subject: str, now_ms: int) -> None:
    """At the shell, where the address cannot tell. Raises `ActionRefused`."""
    with transaction():
        account = find_by_external_id(external_id)
        if account is None:
            raise ActionRefused(_("There is no account %(account)s.", account=external_id))
        if find_external_identity(issuer, subject):
            raise ActionRefused(_("This identity belongs to an account already. Disconnect it there first."))
        _connect(account, issuer, subject, None, now_ms)


def disconnect_identities(external_id: str, now_ms: int) -> bool:
    """False if there were none. The next sign-in connects one again by its address. Raises `ActionRefused`."""
    with transaction():
        account = find_by_external_id(external_id)
        if account is None:
            raise ActionRefused(_("There is no account %(account)s.", account=external_id))
        if not delete_identities(account.id):
            return False
        account.fs_uniquifier = secrets.token_hex(16)
        record_audit_entry("identity_disconnected", f"account {external_id}", None, now_ms, account_id=account.id)
        return True


def _account_with_address(config: SingleSignOn, claims: Claims) -> int:
    email, name = email_claim(claims), config.name
    if not email:
        message = _("%(name)s did not say which email address is yours. Ask an administrator.", name=name)
        raise SignOnRefused(message, "no email")
    if not is_email_verified(claims):
        message = _(
            "%(name)s has not verified that %(email)s is yours. Verify it there, then try again.",
            name=name,
            email=email,
        )
        raise SignOnRefused(message, "email not verified")
    query = select(Account).where(Account.email_folded == fold_case(email), Account.active == True)  # noqa: E712  SQL
    found = [account for account in db.session.scalars(query) if is_same_address(account.email, email)]
    if not found:
        message = _("No active account has the address %(email)s. Ask an administrator for one.", email=email)
        raise SignOnRefused(message, "no account")
    if len(found) > 1:
        raise SignOnRefused(_several_accounts(config, claims, email), "several accounts")
    return found[0].id


def _several_accounts(config: SingleSignOn, claims: Claims, email: str) -> str:
    return _(
        "Several accounts have the address %(email)s, so we cannot tell which one is yours. Ask a system administrator "
        "to connect one of them with your identity at %(name)s, which is %(subject)s.",
        email=email,
        name=config.name,
        subject=str(claims["sub"]),
    )


def _connect(account: Account, issuer: str, subject: str, actor_id: int | None, now_ms: int) -> ExternalIdentity:
    """An account has one identity at an issuer: another one may be of somebody who got the address later."""
    if any(other.issuer == issuer for other in identities_of(account.id)):
        message = _(
            "Account %(account)s belongs to another identity already. Ask a system administrator to disconnect it "
            "if that was yours.",
            account=account.external_id,
        )
        raise SignOnRefused(message, "another identity")
    identity = ExternalIdentity(issuer=issuer, subject=subject, account_id=account.id, connected_at_ms=now_ms)
    db.session.add(identity)
    entry = f"account {account.external_id}"
    record_audit_entry("identity_connected", entry, actor_id, now_ms, account_id=account.id, issuer=issuer)
    return identity


def follow_role_claim(account: Account, config: SingleSignOn, claims: Claims, now_ms: int) -> None:
    """Raise or lower the role as the provider says; the last system administrator stays one. Inside a transaction."""
    role, before = role_from_claims(claims, config), account.role
    if role in ("", before):
        return
    if before == HIGHEST_ROLE and lock_active_accounts(HIGHEST_ROLE) <= {account.id}:
        _log.warning("role kept: the only active system administrator", account_id=account.id)
        return
    account.role, account.fs_uniquifier = role, secrets.token_hex(16)
    subject = f"account {account.external_id}"
    change = {"field": "role", "from": before, "to": role, "by": "single sign-on", "account_id": account.id}
    record_audit_entry("account_changed", subject, None, now_ms, **change)
