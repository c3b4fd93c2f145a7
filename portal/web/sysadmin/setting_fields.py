"""The field of a setting, by its kind, and that of a key of a JSON setting."""

from collections.abc import Collection
from typing import Any

from wtforms import EmailField, Field, PasswordField, RadioField, SelectField, StringField, TelField, TextAreaField

from portal.core.rules.setting_schema import SettingField
from portal.core.rules.text_input import clean_code, clean_lines
from portal.core.translation import LANGUAGES
from portal.core.translation import gettext as _
from portal.settings.rules.app_config import SettingDefinition
from portal.settings.rules.setting_kinds import KINDS


class ListField(Field):  # type: ignore[misc]
    """Every value of that name."""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = valuelist


def value_field(definition: SettingDefinition, providers: Collection[str]) -> Any:
    label, kind = _(definition.label), definition.kind
    if kind == "flag":
        return RadioField(label, choices={"true": _("On"), "false": _("Off")}, validate_choice=False)
    if kind == "gateway":
        return SelectField(label, choices=list(providers), validate_choice=False)
    if kind == "language":
        return SelectField(label, choices=LANGUAGES, validate_choice=False)
    if kind == "email_address":
        return EmailField(_("Email address"), description=_("Such as %(example)s.", example="test-inbox@example.org"))
    if kind == "phone_number":
        hint = _("A plus, the country code and the number, such as %(example)s.", example="+12025550100")
        return TelField(_("Phone number"), description=hint)
    keyboard = {"inputmode": KINDS[kind].keyboard} if definition.is_number else {}
    return StringField(label, description=_(definition.hint or definition.help), render_kw=keyboard)


def key_field(key: SettingField) -> Any:
    """A list has one item per line."""
    label, help = _(key.label), _(key.help)
    if key.kind == "choice":
        choices = {"": _(key.empty_choice)} | {choice: _(name) for choice, name in key.choices.items()}
        return SelectField(label, choices=choices, filters=[clean_code], validate_choice=False)
    if key.kind == "choice_list":
        return ListField(label)
    if key.kind == "text_list":
        return TextAreaField(label, description=help, filters=[lambda text: clean_lines(text).strip()])
    kind = PasswordField if key.is_secret else StringField
    return kind(label, description=help, filters=[clean_code])
