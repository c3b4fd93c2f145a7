"""The form of a send: a template, an audience, and values for the template's `data.…` fields."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from wtforms import HiddenField, RadioField, SelectField, StringField, TextAreaField

from portal.accounts.tables.accounts import account_types
from portal.content.message_templates import data_fields, required_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import TemplateVersion, find_template, find_template_version
from portal.core.clock import now_ms
from portal.core.rules import csv_input, text_input
from portal.core.rules.csv_input import CsvError
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.sends.send_creation import SendPlan, plan_send
from portal.sends.tables.sends import Send
from portal.web.base_form import PortalForm

_AUDIENCES = {
    "all": lazy_gettext("Everyone with an account"),
    "account_type": lazy_gettext("Everyone with one account type"),
    "external_ids": lazy_gettext("Individual accounts"),
}


class SendForm(PortalForm):
    """`send_form` adds the fields of the values. `audience` has no default, so that without one nobody is sent to."""

    version: TemplateVersion
    template = HiddenField()
    form_id = HiddenField(filters=[lambda text: text[:40] or secrets.token_urlsafe(12)])
    version_id = HiddenField()
    audience = RadioField(
        lazy_gettext("Who should receive it?"), name="audience_type", choices=_AUDIENCES, validate_choice=False
    )
    account_type = SelectField(lazy_gettext("Account type"), choices=account_types, validate_choice=False)
    external_ids = TextAreaField(
        lazy_gettext("Account numbers"), description=lazy_gettext("Enter one account number on each line.")
    )

    @property
    def value_fields(self) -> list[Any]:
        return [field for field in self if field.name.startswith("data.")]

    @property
    def values(self) -> dict[str, str]:
        return {field.name.removeprefix("data."): field.data for field in self.value_fields}

    @property
    def request_key(self) -> str:
        """Equal for equal values of one form, so that Back, reload and a double click lead to the same send."""
        audience = (self.audience.data, self.account_type.data, self.external_ids.data)
        values = [self.key, *audience, sorted(self.values.items())]
        return f"{self.form_id.data}:{hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]}"

    @property
    def key(self) -> str:
        return self.version.template.key

    @property
    def chosen_audience(self) -> dict[str, Any]:
        """As `portal.sends` stores it."""
        if self.audience.data == "account_type":
            return {"account_type": self.account_type.data}
        if self.audience.data == "external_ids":
            return {"external_ids": _external_ids(self.external_ids.data)}
        return {"all": True} if self.audience.data == "all" else {}

    def plan(self) -> SendPlan:
        """Raises `InvalidInput`."""
        return plan_send(self.key, self.chosen_audience, self.values, now_ms())


def send_form(template_key: str, **initial: str) -> SendForm | None:
    """The submitted form, or one with the `initial` values. None if there is no template with this key."""
    template = find_template(template_key)
    return None if template is None else _form_for(find_template_version(template), initial)


def submitted_send_form() -> SendForm | None:
    return send_form(SendForm().template.data)


def form_of_send(send: Send) -> SendForm:
    """A new form, filled in as it was for `send`."""
    template, audience = send.version.template, send.audience
    chosen = {"account_type": audience.get("account_type"), "external_ids": "\n".join(audience.get("external_ids", ()))}
    values = {f"data.{name}": value for name, value in send.data.items()}
    initial = {"template": template.key, "audience": next(iter(audience)), **chosen, **values}
    return _form_for(find_template_version(template), initial)


def _form_for(version: TemplateVersion, initial: Mapping[str, Any]) -> SendForm:
    class VersionForm(SendForm):
        """Has a field for each value of this version."""

    required = _required(version)
    for name in data_fields(version):
        value_field = StringField(
            name.replace("_", " ").capitalize(),
            filters=[text_input.clean_lines, str.strip],
            description="" if name in required else _("Optional."),
            render_kw={"required": name in required},
        )
        setattr(VersionForm, f"data.{name}", value_field)
    form = VersionForm(data=initial)
    form.version = version
    return form


def _external_ids(text: str) -> list[str]:
    """Account numbers separated by spaces, commas or line breaks, or a pasted CSV with an `external_id` column."""
    try:
        values = csv_input.read_values(text_input.clean_csv(text), "external_id")
    except CsvError:
        values = [text_input.clean_code(text)]
    return list(dict.fromkeys(external_id for value in values for external_id in value.split()))


def _required(version: TemplateVersion) -> tuple[str, ...]:
    """Empty for a template with an error, which the plan reports."""
    try:
        return required_fields(version)
    except MergeError:
        return ()
