"""Codes work once, also when two requests bring them at the same time, and secrets stay bound to their accounts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.account_permissions import NotPermitted
from portal.accounts.tables.accounts import Account
from portal.authentication.authenticator_app import (
    TotpEnrolment,
    begin_enrolment,
    enrol_totp,
    read_enrolment,
    use_totp_code,
)
from portal.authentication.recovery import use_recovery_code
from portal.authentication.second_factors import has_second_factor, reset_second_factor
from portal.authentication.tables.totp_credentials import TotpCredential
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.settings.key_rotation import rotate_keys
from tests.support.authentication.authenticator_app import AuthenticatorApp

NOW_MS, NEW_KEY = 1_767_225_600_000, b"n" * 32


def new_account(external_id: str, role: str = "user") -> Account:
    new = NewAccount(external_id, "Olive Owner", f"{external_id}@example.org", "Practitioner", role)
    return db.session.get_one(Account, create_account(new, NOW_MS))


def enrol(account: Account) -> tuple[AuthenticatorApp, TotpEnrolment]:
    enrolment = read_enrolment(account.id, begin_enrolment(account.id))
    assert enrolment
    app = AuthenticatorApp(enrolment.secret)
    enrol_totp(account, enrolment, app.code(-1, NOW_MS), NOW_MS)
    return app, enrolment


def successes(app: Flask, attempt: Callable[[], bool]) -> int:
    """Of six attempts at the same time."""

    def succeeds(_index: int) -> bool:
        with app.app_context():
            try:
                return attempt()
            except InvalidInput:
                return False
            finally:
                db.session.remove()

    with ThreadPoolExecutor(6) as pool:
        return sum(pool.map(succeeds, range(6)))


def test_code_works_once_in_parallel_requests(app: Flask) -> None:
    account_id = new_account("P-1").id
    phone, _enrolment = enrol(db.session.get_one(Account, account_id))
    db.session.remove()
    assert successes(app, lambda: use_totp_code(account_id, phone.code(0, NOW_MS), NOW_MS)) == 1
    assert successes(app, lambda: use_totp_code(account_id, phone.code(0, NOW_MS), NOW_MS + 30_000)) == 0


def test_recovery_code_works_once_in_parallel_requests(app: Flask) -> None:
    account_id = new_account("P-1").id
    _phone, enrolment = enrol(db.session.get_one(Account, account_id))
    db.session.remove()
    code = enrolment.recovery_codes[0]
    assert successes(app, lambda: use_recovery_code(db.session.get_one(Account, account_id), code, NOW_MS)) == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "１２３４５６", "000 000", "\x00" * 6])
def test_text_that_is_no_code_is_refused(app: Flask, code: str) -> None:
    account = new_account("P-1")
    phone, _enrolment = enrol(account)
    assert (code == "000 000" and phone.code(0, NOW_MS) == "000000") or not use_totp_code(account.id, code, NOW_MS)


@pytest.mark.one_engine
def test_secret_is_encrypted_and_of_no_use_in_another_account(app: Flask) -> None:
    account, other = new_account("P-1"), new_account("P-2")
    phone, _enrolment = enrol(account)
    enrol(other)
    stolen = db.session.scalars(select(TotpCredential.secret).where(TotpCredential.account_id == account.id)).one()
    assert phone.secret not in stolen
    db.session.execute(update(TotpCredential).values(secret=stolen))
    db.session.commit()
    with pytest.raises(InvalidInput, match="cannot check your app"):
        use_totp_code(other.id, phone.code(0, NOW_MS), NOW_MS)


@pytest.mark.one_engine
def test_enrolment_of_somebody_else_is_none(app: Flask) -> None:
    assert read_enrolment(new_account("P-2").id, begin_enrolment(new_account("P-1").id)) is None


@pytest.mark.one_engine
def test_new_encryption_key_takes_over_the_secrets_of_apps(app: Flask) -> None:
    account_id = new_account("P-1").id
    phone, _enrolment = enrol(db.session.get_one(Account, account_id))
    settings = app.config["PORTAL"]
    app.config["PORTAL"] = replace(settings, encryption_keys=(NEW_KEY, *settings.encryption_keys))
    assert rotate_keys(NOW_MS) == (2, 0)
    assert rotate_keys(NOW_MS) == (0, 2)
    app.config["PORTAL"] = replace(settings, encryption_keys=(NEW_KEY,))
    assert use_totp_code(account_id, phone.code(0, NOW_MS), NOW_MS)


@pytest.mark.one_engine
def test_only_a_system_administrator_removes_the_second_factor_of_somebody_else(app: Flask) -> None:
    person, admin, sysadmin = new_account("P-1"), new_account("A-1", "admin").id, new_account("S-1", "sysadmin").id
    person_id, identity = person.id, person.fs_uniquifier
    enrol(person)
    with pytest.raises(NotPermitted):
        reset_second_factor(person_id, admin, NOW_MS)
    assert has_second_factor(person_id)
    reset_second_factor(person_id, sysadmin, NOW_MS)
    assert not has_second_factor(person_id)
    assert db.session.get_one(Account, person_id).fs_uniquifier != identity
    with pytest.raises(ActionRefused, match="no second factor"):
        reset_second_factor(person_id, sysadmin, NOW_MS)
