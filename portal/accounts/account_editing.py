"""Change the fields and attributes of an account, by an administrator or by the person."""

import secrets
from collections.abc import Mapping

from portal.accounts.account_attributes import attribute_conflicts, changed_message, store_attributes
from portal.accounts.account_management import clean_field, collect_attribute_errors, field_problem
from portal.accounts.account_permissions import require_permission, role_problem
from portal.accounts.rules.account_fields import EDITABLE_FIELDS
from portal.accounts.rules.roles import HIGHEST_ROLE
from portal.accounts.tables.accounts import Account, lock_accounts, lock_active_accounts
from portal.core.audit_log import record_audit_entry
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

Fields = Mapping[str, str]


def edit_account(
    account_id: int, fields: Fields, attributes: Fields, base: Fields, actor_id: int | None, now_ms: int
) -> None:
    """`fields` are some of `EDITABLE_FIELDS`; `attributes` are values by key.

    `base` has what each was when the change began, attributes with the prefix `value_`: what still is the same was not
    changed, and what somebody else has changed since is refused. Raises `InvalidInput`, keyed as `base`.
    """
    typed = {name: clean_field(name, text) for name, text in fields.items()}
    changed = {name: text for name, text in typed.items() if text != base.get(name, "")}
    errors = {name: problem for name, text in changed.items() if (problem := field_problem(name, text))}
    base_values = {key.removeprefix("value_"): text for key, text in base.items() if key.startswith("value_")}
    values = collect_attribute_errors(errors, attributes, base_values)
    if errors:
        raise InvalidInput(errors)
    with transaction():
        (account,) = lock_accounts(account_id)
        require_permission(actor_id, account)
        conflicts = attribute_conflicts(account_id, values, base_values)
        errors = {f"value_{key}": problem for key, problem in conflicts.items()}
        if errors := _refusals(account, changed, base, actor_id) | errors:
            raise InvalidInput(errors)
        store_fields(account, changed, actor_id, now_ms)
        store_attributes(account, values, actor_id, now_ms)


def _refusals(account: Account, changed: Fields, base: Fields, actor_id: int | None) -> dict[str, str]:
    if account.erased_at_ms:
        return dict.fromkeys(changed or ["name"], _("The personal data of this account was erased."))
    current = {name: getattr(account, name) for name in changed}
    conflicts = {
        name: changed_message(current[name])
        for name, text in changed.items()
        if name in base and base[name] != current[name] != text
    }
    problem = role_refusal(account, changed["role"], actor_id) if "role" in changed else None
    return conflicts | ({"role": problem} if problem else {})


def role_refusal(account: Account, role: str, actor_id: int | None) -> str | None:
    """Why the actor may not give the account this role. Inside a transaction."""
    if account.role == role:
        return None
    if problem := role_problem(actor_id, account.id, account.role, role):
        return problem
    if account.role == HIGHEST_ROLE and account.active and lock_active_accounts(HIGHEST_ROLE) <= {account.id}:
        return _("This is the only active system administrator. Give somebody else that role first.")
    return None


def store_fields(account: Account, changed: Fields, actor_id: int | None, now_ms: int) -> None:
    """Inside a transaction. Another address, or another role, ends sessions and the links that were sent before."""
    subject = f"account {account.external_id}"
    for name, text in changed.items():
        before = getattr(account, name)
        if text == before:
            continue
        setattr(account, name, text)
        if name in ("email", "role"):
            account.fs_uniquifier = secrets.token_hex(16)
        change = {"field": FIELD_NAMES[name], "from": before, "to": text}
        record_audit_entry("account_changed", subject, actor_id, now_ms, **change, account_id=account.id)
    db.session.flush()


FIELD_NAMES = {
    **{name: name for name in EDITABLE_FIELDS},
    "account_type": "account type",
    "timezone": "time zone",
}
"""As the audit log stores them."""
