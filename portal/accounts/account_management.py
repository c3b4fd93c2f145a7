"""Accounts: created one by one, or imported whole or not at all."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from portal.accounts import passwords, smtputf8_check
from portal.accounts.rules import account_csv
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.core import audit_log
from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.rules.time_zones import timezone_problem
from portal.core.transaction import transaction


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
    """The id of the account. Raises `Invalid` with the fields of `NewAccount`."""
    new = _clean(new)
    errors = _validation_errors(new)
    if other := find_by_external_id(new.external_id):
        errors.setdefault("external_id", number_taken_message(repr(new.external_id), repr(other.external_id)))
    if errors:
        raise InvalidInput(errors)
    values = account_values(new.external_id, new.name, new.email, new.account_type, new.role, new.timezone, now_ms)
    account = Account(**values, password=passwords.hash_account_password(new.password) if new.password else None)
    try:
        with transaction() as session:
            session.add(account)
            session.flush()
            return account.id
    except IntegrityError as error:
        raise InvalidInput(
            {"external_id": f"There is an account with the number {new.external_id!r} already."}
        ) from error


def set_timezone(account_id: int, name: str, actor_id: int, now_ms: int) -> None:
    """Raises `Invalid` with the field `timezone`. Whoever changes it for somebody else is in the audit log."""
    problem = timezone_problem(name)
    if problem:
        raise InvalidInput({"timezone": problem})
    with transaction() as session:
        account = session.get_one(Account, account_id)
        if actor_id != account_id and name != account.timezone:
            change = {"from": account.timezone, "to": name}
            audit_log.record_audit_entry(
                "timezone_changed", f"account {account.external_id}", actor_id, now_ms, **change
            )
        account.timezone = name


def set_missing_passwords(password: str) -> None:
    """One password for every account that has none: for a demo, never for people."""
    stored = passwords.hash_account_password(password)
    with transaction() as session:
        session.execute(update(Account).where(Account.password.is_(None)).values(password=stored))


def end_sessions(account_id: int) -> None:
    """Every session of the account ends, on whatever device: its cookies name an identity that is no more."""
    with transaction() as session:
        session.get_one(Account, account_id).fs_uniquifier = secrets.token_hex(16)


def _clean(new: NewAccount) -> NewAccount:
    """Without what nobody sees."""
    codes = {name: text_input.clean_code(getattr(new, name)) for name in ("external_id", "email", "role", "timezone")}
    words = {name: text_input.clean_line(getattr(new, name)) for name in ("name", "account_type")}
    return replace(new, **codes, **words)


def _validation_errors(new: NewAccount) -> dict[str, str]:
    checks = {
        "external_id": None if new.external_id else "Give the account a number.",
        "name": None if new.name else "Give a name.",
        "email": account_csv.email_problem(new.email) or smtputf8_check.smtputf8_problem([new.email]),
        "account_type": None if new.account_type else "Give an account type, such as Practitioner.",
        "role": None if new.role in account_csv.ROLES else f"A role is one of {', '.join(account_csv.ROLES)}.",
        "timezone": timezone_problem(new.timezone),
        "password": _password_problem(new),
    }
    return {field: problem for field, problem in checks.items() if problem}


def _password_problem(new: NewAccount) -> str | None:
    if new.password is None:
        return None
    return passwords.password_rule_problem(new.password, new.name, new.email, new.external_id)


def number_taken_message(number: str, by: str) -> str:
    same_but_case = "" if by == number else " Numbers that differ only in case count as the same."
    return f"There is an account with the number {by} already.{same_but_case}"


def account_values(
    external_id: str, name: str, email: str, account_type: str, role: str, timezone: str, now_ms: int
) -> dict[str, Any]:
    return {
        "external_id": external_id,
        "name": name,
        "email": email,
        "account_type": account_type,
        "role": role,
        "timezone": timezone,
        "active": True,
        "fs_uniquifier": secrets.token_hex(16),
        "created_at_ms": now_ms,
    }
