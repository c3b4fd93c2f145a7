"""The forms of an attribute, and of the values of an account."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Self

from wtforms import HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.widgets import DateInput

from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.core.translation import lazy_gettext
from portal.web.base_form import PortalForm, words

_KINDS = {
    AttributeKind.TEXT.value: lazy_gettext("Words"),
    AttributeKind.DATE.value: lazy_gettext("Date"),
    AttributeKind.NUMBER.value: lazy_gettext("Number"),
    AttributeKind.CHOICE.value: lazy_gettext("Choice: one of a list"),
}


class AttributeForm(PortalForm):
    """`base` is what was stored when editing began."""

    base = HiddenField()
    label = StringField(lazy_gettext("Label"), description=lazy_gettext("Pages show it, such as Expires on."))
    key = StringField(
        lazy_gettext("Key"),
        description=lazy_gettext("Templates, imports and commands use it, such as expires_on."),
    )
    kind = RadioField(lazy_gettext("Kind of values"), choices=words(_KINDS), validate_choice=False)
    choices = TextAreaField(
        lazy_gettext("Choices"), description=lazy_gettext("For a choice only. Enter one on each line.")
    )

    @classmethod
    def of(cls, definition: AttributeDefinition) -> Self:
        values = asdict(definition) | {"choices": "\n".join(definition.choices)}
        return cls(**values, base=json.dumps(asdict(definition)))

    @property
    def definition(self) -> AttributeDefinition:
        choices = tuple(self.choices.data.splitlines())
        return AttributeDefinition(self.key.data, self.label.data, self.kind.data or "", choices)

    @property
    def base_definition(self) -> AttributeDefinition | None:
        try:
            values = json.loads(self.base.data)
            return AttributeDefinition(**values | {"choices": tuple(values["choices"])})
        except (ValueError, TypeError, KeyError):
            return None

    def rebased_on(self, definition: AttributeDefinition) -> Self:
        """What was typed, to be saved over what is stored now."""
        self.base.data = json.dumps(asdict(definition))
        return self


class ValuesForm(PortalForm):
    """A subclass has two fields for each attribute: its value, and with `base_` what it was when editing began."""

    keys: tuple[str, ...] = ()

    @property
    def typed(self) -> dict[str, str]:
        return {key: self[f"value_{key}"].data for key in self.keys}

    @property
    def base(self) -> dict[str, str]:
        return {key: self[f"base_{key}"].data for key in self.keys}


def values_form_class(base: type[ValuesForm], attributes: Sequence[AttributeDefinition]) -> type[ValuesForm]:
    fields: dict[str, Any] = {"keys": tuple(attribute.key for attribute in attributes)}
    for attribute in attributes:
        fields[f"value_{attribute.key}"] = _value_field(attribute)
        fields[f"base_{attribute.key}"] = HiddenField()
    return type("AccountValuesForm", (base,), fields)


def _value_field(attribute: AttributeDefinition) -> Any:
    if attribute.kind == AttributeKind.CHOICE:
        choices = [SelectChoice("", lazy_gettext("No value")), *attribute.choices]
        return SelectField(attribute.label, choices=choices, validate_choice=False)
    if attribute.kind == AttributeKind.DATE:
        return StringField(attribute.label, widget=DateInput())
    return StringField(attribute.label, render_kw={"maxlength": 200, "autocomplete": "off"})
