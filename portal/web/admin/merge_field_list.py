"""The merge fields that the template editor offers: of accounts, attributes, and the values of a send."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from portal.accounts.rules.account_fields import ACCOUNT_FIELDS
from portal.accounts.rules.attribute_values import AttributeKind
from portal.accounts.tables.attributes import all_attributes
from portal.content.message_templates import SAMPLE_VALUES
from portal.content.rules import merge_fields
from portal.core.translation import gettext as _


@dataclass(frozen=True)
class MergeField:
    """`source` is what is inserted into the template, `example` what it may become."""

    source: str
    label: str
    example: str


def list_merge_fields(data_fields: Sequence[str]) -> list[MergeField]:
    """`data_fields` are those that the template names already."""
    account = [MergeField(_source(name), _(label), SAMPLE_VALUES[name]) for name, label in ACCOUNT_FIELDS.items()]
    data = merge_fields.sample_data(tuple(data_fields))
    sent = [MergeField(_source(f"data.{name}"), name.replace("_", " "), value) for name, value in data.items()]
    return [*account, *_attribute_fields(), *sent]


def _attribute_fields() -> Iterator[MergeField]:
    definitions = [attribute.definition for attribute in all_attributes()]
    samples = merge_fields.sample_attributes(definitions)
    for attribute in definitions:
        source = _source(f"{attribute.key} | date" if attribute.kind == AttributeKind.DATE else attribute.key)
        yield MergeField(source, attribute.label, merge_fields.render_text(source, samples))


def _source(field: str) -> str:
    return "{{ " + field + " }}"
