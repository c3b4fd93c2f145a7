"""The audit log has who signed in and out and from where, and a sum of failures."""

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.authentication import SignInClient, authenticate
from portal.accounts.sign_in_records import record_failed_sign_ins
from portal.accounts.tables.failed_sign_ins import FailedSignIn
from portal.authentication.identity_proof import attempt_second_factor
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from tests.support import scenario

pytestmark = pytest.mark.usefixtures("app")
NOW_MS, MINUTE_MS = scenario.now_ms(), 60_000
ADDRESS = "203.0.113.5"


def fail(name: str, number: int = 0, address: str = ADDRESS) -> None:
    authenticate(name, "wrong password", SignInClient(address), NOW_MS + number)


def recorded() -> list[tuple[str, str, dict[str, object]]]:
    db.session.rollback()
    failed = AuditEntry.action.in_(("sign_in_failed", "unknown_sign_in_failed"))
    query = select(AuditEntry.action, AuditEntry.subject, AuditEntry.detail).where(failed).order_by(AuditEntry.id)
    return [(action, subject, detail) for action, subject, detail in db.session.execute(query)]


def test_failures_of_ten_minutes_are_one_entry(app: Flask) -> None:
    scenario.create_accounts(1)
    for number in range(3):
        fail("P-0", number)
    record_failed_sign_ins(NOW_MS + 9 * MINUTE_MS)
    assert recorded() == []
    record_failed_sign_ins(NOW_MS + 11 * MINUTE_MS)
    record_failed_sign_ins(NOW_MS + 12 * MINUTE_MS)
    detail = {"tries": 3, "address": ADDRESS, "account_id": 1}
    assert recorded() == [("sign_in_failed", "account P-0", detail)]


@pytest.mark.one_engine
def test_wrong_code_after_the_right_password_is_a_failed_sign_in(app: Flask) -> None:
    scenario.create_accounts(1)
    assert not attempt_second_factor(1, SignInClient(ADDRESS), lambda: False, NOW_MS)
    assert attempt_second_factor(1, SignInClient(ADDRESS), lambda: True, NOW_MS + MINUTE_MS)
    record_failed_sign_ins(NOW_MS + 11 * MINUTE_MS)
    assert recorded() == [("sign_in_failed", "account P-0", {"tries": 1, "address": ADDRESS, "account_id": 1})]


@pytest.mark.one_engine
def test_unknown_names_are_one_entry_however_many(app: Flask) -> None:
    for number in range(30):
        fail(f"nobody-{number}", number, f"203.0.113.{number}")
    assert db.session.scalar(select(func.count()).select_from(FailedSignIn)) == 1
    record_failed_sign_ins(NOW_MS + 11 * MINUTE_MS)
    detail = {"tries": 30, "address": "203.0.113.29"}
    assert recorded() == [("unknown_sign_in_failed", "unknown names", detail)]
