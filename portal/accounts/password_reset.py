"""Forgotten passwords: send one email to the address, with a link for each account that uses it."""

from typing import cast

from portal.accounts.rules.sign_in_names import normalise_sign_in_name
from portal.accounts.rules.throttle_policy import client_network
from portal.accounts.sign_in_throttle import count_attempt, throttle_key
from portal.accounts.tables.accounts import Account, find_by_sign_in_name
from portal.core import audit_log
from portal.core.extensions import security
from portal.core.transaction import transaction


def reset_wait_ms(address: str, now_ms: int) -> int:
    """Milliseconds until this IP address may request again; 0 if the request is allowed, and now counted."""
    return _count_attempt("reset_address", client_network(address), now_ms)


def accounts_to_reset(name: str, now_ms: int) -> list[Account]:
    """The accounts whose links go to their common email address; none if it got an email a few minutes ago.

    An account number selects that account only; an email address selects every account that shares it.
    """
    accounts = [account for account in find_by_sign_in_name(name) if account.active]
    if not accounts or _count_attempt("reset", normalise_sign_in_name(accounts[0].email), now_ms):
        return []
    subjects = [f"account {account.external_id}" for account in accounts]
    with transaction():
        for subject in subjects:
            audit_log.record_audit_entry("password_link_sent", subject, None, now_ms)
    return accounts


def _count_attempt(kind: str, name: str, now_ms: int) -> int:
    return count_attempt([throttle_key(kind, name)], [()], now_ms).retry_after_ms


def reset_token(account: Account) -> str:
    """Signed. Valid until the account's identity changes, as by a new password."""
    return cast(str, security.reset_serializer.dumps([account.fs_uniquifier]))
