"""Create an account and change its time zone or passwords."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from portal.accounts import passwords, smtputf8_check
from portal.accounts.rules.account_csv import ROLES, AccountRow
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.core import audit_log
from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.rules.email_address import address_problem
from portal.core.rules.time_zones import timezone_problem
from portal.core.transaction import transaction
from portal.core.translation import gettext as _


@dataclass(frozen=True)
class NewAccount:
    external_id: str
    name: str
    email: str
    account_type: str
    role: str = "user"
    timezone: str = "UTC"
    password: str | None = None


def create_account(new: NewAccount, now_ms: int) -> int:
    """Return the new account's id. Raises `InvalidInput`, keyed by the fields of `NewAccount`."""
    new = _normalise(new)
    errors = _validation_errors(new)
    if existing := find_by_external_id(new.external_id):
        taken = external_id_taken_message(new.external_id, existing.external_id)
        errors.setdefault("external_id", erased_message(existing.external_id) if existing.erased_at_ms else taken)
    if errors:
        raise InvalidInput(errors)
    password_hash = passwords.hash_account_password(new.password) if new.password else None
    account = Account(**account_values(new, now_ms), password=password_hash)
    try:
        with transaction() as session:
            session.add(account)
            session.flush()
            return account.id
    except IntegrityError as error:
        taken = external_id_taken_message(new.external_id, new.external_id)
        raise InvalidInput({"external_id": taken}) from error


def set_timezone(account_id: int, name: str, actor_id: int, now_ms: int) -> None:
    """Raises `InvalidInput` for `timezone`. A change of somebody else's time zone goes into the audit log."""
    if problem := timezone_problem(name):
        raise InvalidInput({"timezone": problem})
    with transaction() as session:
        account = session.get_one(Account, account_id)
        if actor_id != account_id and name != account.timezone:
            subject, change = f"account {account.external_id}", {"from": account.timezone, "to": name}
            audit_log.record_audit_entry("timezone_changed", subject, actor_id, now_ms, **change)
        account.timezone = name


def set_missing_passwords(password: str) -> None:
    """Give every account without a password this one. For demos only, never for real people."""
    password_hash = passwords.hash_account_password(password)
    with transaction() as session:
        session.execute(update(Account).where(Account.password.is_(None)).values(password=password_hash))


def end_sessions(account_id: int) -> None:
    """End every session of the account on all devices, by replacing the identity that its cookies name."""
    with transaction() as session:
        session.get_one(Account, account_id).fs_uniquifier = secrets.token_hex(16)


def _normalise(new: NewAccount) -> NewAccount:
    """Remove invisible characters."""
    codes = {name: text_input.clean_code(getattr(new, name)) for name in ("external_id", "email", "role", "timezone")}
    lines = {name: text_input.clean_line(getattr(new, name)) for name in ("name", "account_type")}
    return replace(new, **codes, **lines)


def _validation_errors(new: NewAccount) -> dict[str, str]:
    checks = {
        "external_id": None if new.external_id else _("Enter an account number."),
        "name": None if new.name else _("Enter a name."),
        "email": address_problem(new.email) or smtputf8_check.smtputf8_problem([new.email]),
        "account_type": None if new.account_type else _("Enter an account type, such as Practitioner."),
        "role": None if new.role in ROLES else _("The role must be one of %(roles)s.", roles=", ".join(ROLES)),
        "timezone": timezone_problem(new.timezone),
    }
    if new.password is not None:
        checks["password"] = passwords.password_rule_problem(new.password, new.name, new.email, new.external_id)
    return {field: problem for field, problem in checks.items() if problem}


def external_id_taken_message(external_id: str, existing: str) -> str:
    if existing == external_id:
        return _("Account number %(account)s is already in use.", account=existing)
    return _("Account number %(account)s is already in use. Account numbers are not case-sensitive.", account=existing)


def erased_message(external_id: str) -> str:
    """For every way to fill an erased account again."""
    return _(
        "The personal data of account %(account)s was erased. Take it out; if the person is back, use a new account "
        "number.",
        account=external_id,
    )


def account_values(new: NewAccount | AccountRow, now_ms: int) -> dict[str, Any]:
    """The columns of a new account, except its password."""
    names = ("external_id", "name", "email", "account_type", "role", "timezone")
    values = {name: getattr(new, name) for name in names}
    return {**values, "fs_uniquifier": secrets.token_hex(16), "created_at_ms": now_ms}
