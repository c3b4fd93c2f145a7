"""Declare, change and remove attributes of accounts."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from portal.accounts.attribute_checks import (
    AttributeInUse,
    FindUses,
    definition_errors,
    key_taken_message,
    use_errors,
)
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind, clean_choices
from portal.accounts.tables.attributes import Attribute, AttributeValue, all_attributes, count_values
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import ngettext

_MAX_ATTRIBUTES = 50


def add_attribute(new: AttributeDefinition, actor_id: int | None, now_ms: int) -> int:
    """Its id. Raises `InvalidInput` for `key`, `label`, `kind` or `choices`."""
    new, others = _cleaned(new), all_attributes()
    errors = definition_errors(new, others)
    if len(others) >= _MAX_ATTRIBUTES:
        message = _("There can be %(limit)s attributes at most. Remove one first.", limit=_MAX_ATTRIBUTES)
        errors.setdefault("key", message)
    if errors:
        raise InvalidInput(errors)
    try:
        with transaction() as session:
            attribute = Attribute(**_columns(new), created_at_ms=now_ms, created_by_id=actor_id)
            session.add(attribute)
            session.flush()
            record_audit_entry("attribute_added", f"attribute {new.key}", actor_id, now_ms, kind=new.kind)
            return attribute.id
    except IntegrityError as error:
        raise InvalidInput({"key": key_taken_message(new.key)}) from error


def change_attribute(
    attribute_id: int,
    changed: AttributeDefinition,
    find_uses: FindUses,
    actor_id: int | None,
    now_ms: int,
    base: AttributeDefinition | None = None,
) -> None:
    """Raises `InvalidInput`, keyed as above; for `base` if the attribute is no longer what the change began with."""
    changed, before = _cleaned(changed), _require(attribute_id).definition
    if base not in (None, before):
        raise _conflict()
    others = [attribute for attribute in all_attributes() if attribute.id != attribute_id]
    if errors := definition_errors(changed, others) or use_errors(attribute_id, before, changed, find_uses):
        raise InvalidInput(errors)
    if changed == before:
        return
    with transaction() as session:
        attribute = session.get(Attribute, attribute_id, with_for_update=True)
        if attribute is None or attribute.definition != before:
            raise _conflict()
        for name, value in _columns(changed).items():
            setattr(attribute, name, value)
        _rewrite_choices(attribute_id, before.choices, changed.choices)
        record_audit_entry(
            "attribute_changed", f"attribute {before.key}", actor_id, now_ms, **_changes(before, changed)
        )


def remove_attribute(
    attribute_id: int, find_uses: FindUses, confirmed_values: int, actor_id: int | None, now_ms: int
) -> None:
    """With its values. Raises `AttributeInUse`, or `ActionRefused` if more values exist than were confirmed."""
    attribute = _require(attribute_id)
    key, label = attribute.key, attribute.label
    if uses := find_uses(key, ""):
        raise AttributeInUse(label, uses)
    with transaction() as session:
        session.get_one(Attribute, attribute_id, with_for_update=True)
        values = count_values().get(attribute_id, 0)
        if values > confirmed_values:
            raise ActionRefused(
                ngettext(
                    "%(num)s account has a value for “%(label)s”, which goes with it. Confirm the removal again.",
                    "%(num)s accounts have a value for “%(label)s”, which go with it. Confirm the removal again.",
                    values,
                    label=label,
                )
            )
        session.execute(delete(AttributeValue).where(AttributeValue.attribute_id == attribute_id))
        session.execute(delete(Attribute).where(Attribute.id == attribute_id))
        record_audit_entry("attribute_removed", f"attribute {key}", actor_id, now_ms, accounts=values)


def _require(attribute_id: int) -> Attribute:
    attribute = db.session.get(Attribute, attribute_id, populate_existing=True)
    if attribute is None:
        raise ActionRefused(_("Somebody removed this attribute in the meantime."))
    return attribute


def _conflict() -> InvalidInput:
    message = _(
        "Somebody changed this attribute while you were editing. Your changes are still here: check them, then save."
    )
    return InvalidInput({"base": message})


def _cleaned(draft: AttributeDefinition) -> AttributeDefinition:
    key, kind = text_input.clean_code(draft.key), text_input.clean_code(draft.kind)
    choices = clean_choices(draft.choices) if kind == AttributeKind.CHOICE else ()
    return replace(draft, key=key, label=text_input.clean_line(draft.label), kind=kind, choices=choices)


def _columns(definition: AttributeDefinition) -> dict[str, object]:
    return asdict(definition) | {"choices": list(definition.choices)}


def _rewrite_choices(attribute_id: int, before: Sequence[str], changed: Sequence[str]) -> None:
    """A choice whose case alone changed is shown in its new case."""
    for choice in set(changed) - set(before):
        query = update(AttributeValue).where(AttributeValue.attribute_id == attribute_id)
        db.session.execute(query.where(AttributeValue.comparable == fold_case(choice)).values(value=choice))


def _changes(before: AttributeDefinition, changed: AttributeDefinition) -> dict[str, str]:
    """For the audit log: what it was, and what it is now."""
    names = [name for name in ("key", "label", "kind", "choices") if getattr(before, name) != getattr(changed, name)]
    return {
        "from": ", ".join(_text_of(before, name) for name in names),
        "to": ", ".join(_text_of(changed, name) for name in names),
    }


def _text_of(definition: AttributeDefinition, name: str) -> str:
    value = getattr(definition, name)
    return value if isinstance(value, str) else " / ".join(value)
