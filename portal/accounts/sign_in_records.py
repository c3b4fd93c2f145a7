"""Record in the audit log who signed in and out, from which address, and who failed to."""

from collections.abc import Collection

from portal.accounts.tables import failed_sign_ins
from portal.accounts.tables.accounts import Account
from portal.core.audit_log import record_audit_entry
from portal.core.extensions import db
from portal.core.transaction import transaction

_SUM_MS = 600_000
"""Failures are summed for so long: an account has at most six entries an hour, however many guess its password."""


def record_session_start(account_id: int, external_id: str, address: str, methods: str, now_ms: int) -> None:
    """`methods` are what proved who it is, such as "password, totp"."""
    with transaction():
        _record("signed_in", account_id, external_id, now_ms, address=address, methods=methods)


def record_session_end(account_id: int, external_id: str, address: str, now_ms: int) -> None:
    with transaction():
        _record("signed_out", account_id, external_id, now_ms, address=address)


def count_failed_sign_in(account_ids: Collection[int], address: str, now_ms: int) -> None:
    with transaction():
        for account_id in sorted(account_ids):
            failed_sign_ins.count_failure(account_id, address, now_ms)


def record_failed_sign_ins(now_ms: int) -> None:
    """Those whose time has passed: one entry for each account, and one for all unknown names."""
    with transaction() as session:
        for account_id, tries, address in failed_sign_ins.take_failures_before(now_ms - _SUM_MS):
            account = session.get(Account, account_id)
            action = "sign_in_failed" if account else "unknown_sign_in_failed"
            subject = f"account {account.external_id}" if account else "unknown names"
            known = {"account_id": account_id} if account else {}
            record_audit_entry(action, subject, None, now_ms, tries=tries, address=address, **known)
    db.session.rollback()


def _record(action: str, account_id: int, external_id: str, now_ms: int, **detail: str) -> None:
    record_audit_entry(action, f"account {external_id}", account_id, now_ms, account_id=account_id, **detail)
