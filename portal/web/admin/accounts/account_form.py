"""The form of an account: its fields and attributes, each with what it was when editing began."""

from collections.abc import Mapping
from typing import Any, Self

from wtforms import HiddenField, SelectField, StringField

from portal.accounts.rules.account_fields import EDITABLE_FIELDS
from portal.accounts.rules.roles import ROLES
from portal.accounts.tables.attributes import all_attributes
from portal.core.errors import InvalidInput
from portal.core.translation import N_, lazy_gettext
from portal.web.admin.accounts.attribute_form import ValuesForm, values_form_class
from portal.web.base_form import words
from portal.web.languages import language_choices

ROLE_LABELS = {"user": N_("User"), "admin": N_("Administrator"), "sysadmin": N_("System administrator")}
_LIMIT = {"maxlength": 200, "autocomplete": "off"}


class AccountForm(ValuesForm):
    """A field that was not sent, such as one that this person may not change, stays as it is."""

    external_id = StringField(
        lazy_gettext("Account number"),
        description=lazy_gettext("As in your own records. It cannot change later."),
        render_kw=_LIMIT,
    )
    name = StringField(lazy_gettext("Name"), render_kw=_LIMIT)
    email = StringField(
        lazy_gettext("Email"),
        description=lazy_gettext("For notifications and for signing in. Several accounts may share it."),
        render_kw={"maxlength": 254, "autocomplete": "off", "inputmode": "email"},
    )
    account_type = StringField(
        lazy_gettext("Account type"),
        description=lazy_gettext("Such as Practitioner. A send can go to one type."),
        render_kw={**_LIMIT, "list": "account-types"},
    )
    role = SelectField(
        lazy_gettext("Role"),
        choices=words({role: lazy_gettext(label) for role, label in ROLE_LABELS.items()}),
        validate_choice=False,
        default=ROLES[0],
    )
    timezone = StringField(
        lazy_gettext("Time zone"),
        description=lazy_gettext("Start typing a large city nearby, such as New_York, and choose from the list."),
        render_kw={"maxlength": 60, "autocomplete": "off", "list": "cities", "spellcheck": "false"},
    )
    language = SelectField(lazy_gettext("Language"), choices=language_choices, validate_choice=False)
    base_name = HiddenField()
    base_email = HiddenField()
    base_account_type = HiddenField()
    base_role = HiddenField()
    base_timezone = HiddenField()
    base_language = HiddenField()

    @property
    def fields(self) -> dict[str, str]:
        return {name: self[name].data for name in EDITABLE_FIELDS if self[name].raw_data}

    @property
    def values(self) -> dict[str, str]:
        """Of attributes, by key."""
        return {key: text for key, text in self.typed.items() if self[f"value_{key}"].raw_data}

    @property
    def all_base(self) -> dict[str, str]:
        """Keyed as errors are."""
        fields = {name: self[f"base_{name}"].data for name in EDITABLE_FIELDS}
        return fields | {f"value_{key}": text for key, text in self.base.items()}

    def with_conflicts(self, error: InvalidInput, stored: Mapping[str, str]) -> Self:
        """What was typed, to be saved over what is stored now."""
        for name, value in stored.items():
            self[f"base_{name.removeprefix('value_')}"].data = value
        return self.with_errors(error)


def account_form(stored: Mapping[str, str]) -> AccountForm:
    """`stored` has the fields, and the attributes with the prefix `value_`."""
    definitions = [attribute.definition for attribute in all_attributes()]
    base = {f"base_{name.removeprefix('value_')}": value for name, value in stored.items()}
    form_class: Any = values_form_class(AccountForm, definitions)
    form: AccountForm = form_class(**stored, **base)
    return form
