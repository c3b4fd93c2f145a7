"""Forgotten passwords: one mail to a mailbox, with a link for each account it belongs to."""

from dataclasses import dataclass
from typing import cast

from portal.actions import passwords, throttle
from portal.actions.transaction import transaction
from portal.domain.sign_in_names import normalised
from portal.domain.throttling import network_of
from portal.extensions import security
from portal.models import audit_log
from portal.models.account import Account, by_sign_in_name


@dataclass(frozen=True)
class Mailbox:
    email: str
    name: str
    accounts: tuple[Account, ...]


def wait_ms_from(address: str, now_ms: int) -> int:
    """How long this address has to wait before it may ask again; 0 when the question is counted and may be answered."""
    return throttle.take([throttle.key_of("reset_address", network_of(address))], [()], now_ms).wait_ms


def mailboxes(name: str, now_ms: int) -> list[Mailbox]:
    """Who gets a mail for this name now: none, or one mailbox; never twice within a few minutes.

    An account number stands for that account alone, an email for all that share it.
    """
    accounts = [account for account in by_sign_in_name(name) if account.active]
    if not accounts:
        return []
    email = accounts[0].email
    if throttle.take([throttle.key_of("reset", normalised(email))], [()], now_ms).wait_ms:
        return []
    _audit(accounts, now_ms)
    return [Mailbox(email, accounts[0].name, tuple(accounts))]


def link_token(account: Account) -> str:
    """Signed, and good until the account's identity changes: by a new password, or by signing out."""
    return cast(str, security.reset_serializer.dumps([account.fs_uniquifier]))


def password_problem(account: Account, password: str) -> str | None:
    """Why the account cannot have this password, in words; None when it can."""
    return passwords.problem(password, account.name, account.email, account.external_id)


def _audit(accounts: list[Account], now_ms: int) -> None:
    numbers = [account.external_id for account in accounts]
    with transaction():
        for number in numbers:
            audit_log.add("password_link_mailed", f"account {number}", None, now_ms)
