"""Create an account and change its time zone or passwords."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from portal.accounts import passwords, smtputf8_check
from portal.accounts.account_attributes import check_attributes, store_attributes
from portal.accounts.account_permissions import require_permission, role_problem
from portal.accounts.rules.account_csv import AccountRow, length_problem
from portal.accounts.rules.account_fields import EDITABLE_FIELDS
from portal.accounts.rules.attribute_values import CheckedValue
from portal.accounts.rules.roles import LOWEST_ROLE, ROLES
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.core import audit_log
from portal.core.errors import InvalidInput
from portal.core.rules import text_input
from portal.core.rules.email_address import address_problem
from portal.core.rules.time_zones import timezone_problem
from portal.core.transaction import transaction
from portal.core.translation import LANGUAGES
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
    language: str = ""


def create_account(
    new: NewAccount,
    now_ms: int,
    actor_id: int | None = None,
    attributes: Mapping[str, str] = MappingProxyType({}),
    check: Callable[[], None] = lambda: None,
) -> int:
    """Return the new account's id. Raises `InvalidInput`, keyed by the fields of `NewAccount`.

    Of `attributes`, by key, the errors begin with `value_`. `check` runs in the same transaction; nothing is created
    if it raises.
    """
    new = _normalise(new)
    errors = _validation_errors(new)
    if problem := role_problem(actor_id, None, LOWEST_ROLE, new.role):
        errors.setdefault("role", problem)
    values = collect_attribute_errors(errors, attributes, None)
    if existing := find_by_external_id(new.external_id):
        taken = external_id_taken_message(new.external_id, existing.external_id)
        errors.setdefault("external_id", erased_message(existing.external_id) if existing.erased_at_ms else taken)
    if errors:
        raise InvalidInput(errors)
    password_hash = passwords.hash_account_password(new.password) if new.password else None
    account = Account(**account_values(new, now_ms), password=password_hash)
    try:
        with transaction() as session:
            check()
            session.add(account)
            session.flush()
            store_attributes(account, values, actor_id, now_ms)
            if actor_id is not None:
                subject = f"account {account.external_id}"
                audit_log.record_audit_entry("account_created", subject, actor_id, now_ms, account_id=account.id)
            return account.id
    except IntegrityError as error:
        taken = external_id_taken_message(new.external_id, new.external_id)
        raise InvalidInput({"external_id": taken}) from error


def collect_attribute_errors(
    errors: dict[str, str], attributes: Mapping[str, str], base: Mapping[str, str] | None
) -> dict[str, CheckedValue | None]:
    """The checked values by key; what is wrong with them is added to the errors of a form."""
    try:
        return check_attributes(attributes, base)
    except InvalidInput as error:
        errors |= {f"value_{key}": problem for key, problem in error.errors.items()}
        return {}


def set_timezone(account_id: int, name: str, actor_id: int, now_ms: int) -> None:
    """Raises `InvalidInput` for `timezone`. A change of somebody else's time zone goes into the audit log."""
    if problem := timezone_problem(name):
        raise InvalidInput({"timezone": problem})
    with transaction() as session:
        account = session.get_one(Account, account_id)
        require_permission(actor_id, account)
        if actor_id != account_id and name != account.timezone:
            subject, change = f"account {account.external_id}", {"from": account.timezone, "to": name}
            audit_log.record_audit_entry("timezone_changed", subject, actor_id, now_ms, **change)
        account.timezone = name


def set_missing_passwords(password: str) -> None:
    """Give every account without a password this one. For demos only, never for real people."""
    password_hash = passwords.hash_account_password(password)
    with transaction() as session:
        session.execute(update(Account).where(Account.password.is_(None)).values(password=password_hash))


def _normalise(new: NewAccount) -> NewAccount:
    """Remove invisible characters."""
    names = ("external_id", *EDITABLE_FIELDS)
    return replace(new, **{name: clean_field(name, getattr(new, name)) for name in names})


def clean_field(name: str, text: str) -> str:
    return (text_input.clean_line if name in ("name", "account_type") else text_input.clean_code)(text)


def _validation_errors(new: NewAccount) -> dict[str, str]:
    checks = {
        "external_id": length_problem(new.external_id) if new.external_id else _("Enter an account number."),
        **{name: field_problem(name, getattr(new, name)) for name in EDITABLE_FIELDS},
    }
    if new.password is not None:
        checks["password"] = passwords.password_rule_problem(new.password, new.name, new.email, new.external_id)
    return {field: problem for field, problem in checks.items() if problem}


def field_problem(name: str, text: str) -> str | None:
    """What is wrong with the new value of a field in `EDITABLE_FIELDS`."""
    match name:
        case "name":
            return length_problem(text) if text else _("Enter a name.")
        case "email":
            return address_problem(text) or smtputf8_check.smtputf8_problem([text])
        case "account_type":
            return length_problem(text) if text else _("Enter an account type, such as Practitioner.")
        case "language":
            return None if text in ("", *LANGUAGES) else _("Choose one of the languages in the list.")
        case "role":
            return None if text in ROLES else _("Choose one of the roles in the list.")
    return timezone_problem(text)


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
    names = ("external_id", "name", "email", "account_type", "role", "timezone", "language")
    values = {name: getattr(new, name) for name in names}
    return {**values, "fs_uniquifier": secrets.token_hex(16), "created_at_ms": now_ms}
