"""Change the attributes of an account."""

from collections.abc import Mapping

from portal.accounts.account_permissions import require_permission
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeValueError, CheckedValue
from portal.accounts.tables import attributes
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute, all_attributes, values_of
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.transaction import transaction
from portal.core.translation import gettext as _


def set_attributes(
    account_id: int,
    typed: Mapping[str, str],
    actor_id: int | None,
    now_ms: int,
    base: Mapping[str, str] | None = None,
) -> None:
    """Set the values by key; a blank one is removed. What is not in `typed` stays.

    `base` has the values with which the change began: what still has them was not changed, and what somebody else has
    changed since is refused. Raises `InvalidInput`, by key.
    """
    checked = check_attributes(typed, base)
    with transaction() as session:
        account = session.get_one(Account, account_id, with_for_update=True)
        require_permission(actor_id, account)
        if account.erased_at_ms and checked:
            raise InvalidInput(dict.fromkeys(checked, _("The personal data of this account was erased.")))
        if conflicts := attribute_conflicts(account_id, checked, base):
            raise InvalidInput(conflicts)
        store_attributes(account, checked, actor_id, now_ms)


def check_attributes(typed: Mapping[str, str], base: Mapping[str, str] | None) -> dict[str, CheckedValue | None]:
    """The values to store by key: with a `base`, those that differ from it. Raises `InvalidInput`, by key."""
    checked = _check_values({attribute.key: attribute.definition for attribute in all_attributes()}, typed)
    return {key: value for key, value in checked.items() if base is None or _text(value) != base.get(key, "")}


def store_attributes(
    account: Account, checked: Mapping[str, CheckedValue | None], actor_id: int | None, now_ms: int
) -> None:
    """Inside a transaction that has locked the account."""
    declared = {attribute.key: attribute for attribute in all_attributes()} if checked else {}
    stored = values_of([account.id], list(checked)).get(account.id, {})
    for key, value in checked.items():
        _set_value(account, declared[key], stored.get(key, ""), value, actor_id, now_ms)


def _check_values(
    declared: Mapping[str, AttributeDefinition], typed: Mapping[str, str]
) -> dict[str, CheckedValue | None]:
    checked, errors = {}, {}
    for key, text in typed.items():
        if key not in declared:
            names = ", ".join(declared) or _("none")
            errors[key] = _("There is no attribute “%(key)s”. There are: %(names)s.", key=key, names=names)
            continue
        try:
            checked[key] = declared[key].parse(text, settings().region)
        except AttributeValueError as error:
            errors[key] = str(error)
    if errors:
        raise InvalidInput(errors)
    return checked


def attribute_conflicts(
    account_id: int, checked: Mapping[str, CheckedValue | None], base: Mapping[str, str] | None
) -> dict[str, str]:
    """Values that are neither what they were when the change began nor what they are to be."""
    stored = values_of([account_id], list(checked)).get(account_id, {})
    return {
        key: changed_message(stored.get(key, ""))
        for key, value in checked.items()
        if base is not None and base.get(key, "") != stored.get(key, "") != _text(value)
    }


def changed_message(current: str) -> str:
    """For a field that somebody else has changed since the form was opened."""
    if current:
        return _("Somebody changed this to “%(value)s” in the meantime. Save again to replace it.", value=current)
    return _("Somebody removed this value in the meantime. Save again to replace it.")


def _set_value(
    account: Account, attribute: Attribute, before: str, value: CheckedValue | None, actor_id: int | None, now_ms: int
) -> None:
    if _text(value) == before:
        return
    attributes.put_value(account.id, attribute.id, value)
    changes = {name: text for name, text in (("from", before), ("to", _text(value))) if text}
    subject, names = f"account {account.external_id}", {"attribute": attribute.label, "account_id": account.id}
    record_audit_entry("attribute_set", subject, actor_id, now_ms, **names, **changes)


def _text(value: CheckedValue | None) -> str:
    return value.value if value else ""
