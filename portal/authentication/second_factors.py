"""The second factors that an account may have. A new kind is one more row of the table."""

from collections.abc import Callable
from dataclasses import dataclass

from portal.accounts.account_permissions import NotPermitted, role_of
from portal.accounts.rules.roles import HIGHEST_ROLE, ROLES
from portal.accounts.tables.accounts import Account
from portal.authentication.session_management import revoke_all_sessions
from portal.authentication.tables.passkeys import delete_passkeys, passkeys_of
from portal.authentication.tables.recovery_codes import count_recovery_codes, delete_recovery_codes
from portal.authentication.tables.totp_credentials import delete_totp, has_totp
from portal.authentication.tables.trusted_devices import forget_trusted_devices
from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.core.translation import gettext as _


@dataclass(frozen=True)
class SecondFactor:
    """`exists` and `delete` take the id of an account; `delete` is called inside a transaction.

    A fallback proves who somebody is when the others are lost, and counts as none by itself.
    """

    name: str
    exists: Callable[[int], bool]
    delete: Callable[[int], object]
    is_fallback: bool = False


PASSKEY = "passkey"
SECOND_FACTORS = (
    SecondFactor(PASSKEY, lambda account_id: bool(passkeys_of(account_id)), delete_passkeys),
    SecondFactor("totp", has_totp, delete_totp),
    SecondFactor("recovery_code", lambda account_id: count_recovery_codes(account_id) > 0, delete_recovery_codes, True),
)
"""In the order in which they are offered."""


def has_second_factor(account_id: int) -> bool:
    return any(factor.exists(account_id) for factor in SECOND_FACTORS if not factor.is_fallback)


def second_factors_of(account_id: int) -> list[str]:
    """The names of those that the account can prove itself with, with fallbacks; none without another one."""
    names = [factor.name for factor in SECOND_FACTORS if factor.exists(account_id)]
    return names if has_second_factor(account_id) else []


def needs_second_factor(role: str) -> bool:
    """Whether accounts with this role must have one."""
    return role in ROLES[1:] and settings().second_factor == "required"


def delete_second_factors(account_id: int) -> None:
    """With the trust in devices. Call inside a transaction."""
    for factor in SECOND_FACTORS:
        factor.delete(account_id)
    forget_trusted_devices(account_id)


def remove_own_second_factors(account: Account, now_ms: int) -> None:
    """Raises `ActionRefused` if the role needs one, or there is none."""
    if needs_second_factor(account.role):
        raise ActionRefused(_("Your role needs a second factor. Set up another app instead; it replaces this one."))
    _require_second_factor(account.id)
    _delete_and_record(account.id, account.id, now_ms)


def reset_second_factor(account_id: int, actor_id: int | None, now_ms: int) -> None:
    """For somebody who lost it; every session of the account ends. Raises `NotPermitted`, or `ActionRefused`.

    An administrator may not: who can also send a link to a new password would then hold both factors.
    """
    if role_of(actor_id) != HIGHEST_ROLE:
        raise NotPermitted(_("Only a system administrator can remove the second factor of somebody else."))
    _require_second_factor(account_id)
    _delete_and_record(account_id, actor_id, now_ms)
    revoke_all_sessions(account_id, actor_id, now_ms)


def _require_second_factor(account_id: int) -> None:
    if not has_second_factor(account_id):
        raise ActionRefused(_("This account has no second factor."))


def _delete_and_record(account_id: int, actor_id: int | None, now_ms: int) -> None:
    with transaction() as session:
        subject = f"account {session.get_one(Account, account_id).external_id}"
        delete_second_factors(account_id)
        audit_log.record_audit_entry("second_factor_removed", subject, actor_id, now_ms, account_id=account_id)
