"""The form of a send: a template, an audience, and values for the template's `data.…` fields."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from wtforms import HiddenField, StringField

from portal.content.message_templates import data_fields, required_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import TemplateVersion, find_template, find_template_version
from portal.core.clock import now_ms
from portal.core.rules import text_input
from portal.core.translation import gettext as _
from portal.sends.send_creation import SendPlan, plan_send
from portal.sends.tables.sends import Send
from portal.web.admin.sends.audience_form import AudienceForm, initial_audience


class SendForm(AudienceForm):
    """`send_form` adds the fields of the values."""

    version: TemplateVersion
    template = HiddenField()
    form_id = HiddenField(filters=[lambda text: text[:40] or secrets.token_urlsafe(12)])
    version_id = HiddenField()

    @property
    def value_fields(self) -> list[Any]:
        return [field for field in self if field.name.startswith("data.")]

    @property
    def values(self) -> dict[str, str]:
        return {field.name.removeprefix("data."): field.data for field in self.value_fields}

    @property
    def request_key(self) -> str:
        """Equal for equal values of one form, so that Back, reload and a double click lead to the same send."""
        values = [self.key, *self.typed_audience, sorted(self.values.items())]
        return f"{self.form_id.data}:{hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]}"

    @property
    def key(self) -> str:
        return self.version.template.key

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
    template = send.version.template
    values = {f"data.{name}": value for name, value in send.data.items()}
    initial = {"template": template.key, **initial_audience(send.audience), **values}
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


def _required(version: TemplateVersion) -> tuple[str, ...]:
    """Empty for a template with an error, which the plan reports."""
    try:
        return required_fields(version)
    except MergeError:
        return ()
