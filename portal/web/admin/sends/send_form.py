"""The form of a send: a template, an audience, and values for the template's `data.…` fields."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from flask_wtf.file import FileField
from wtforms import HiddenField, StringField

from portal.content.message_templates import data_fields, required_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import TemplateVersion, find_template, find_template_version
from portal.core.clock import now_ms
from portal.core.rules import text_input
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.sends import file_audience
from portal.sends.send_creation import SendPlan, plan_send
from portal.sends.tables.recipient_files import RecipientFile
from portal.sends.tables.sends import Send
from portal.web.admin.sends.audience_form import AudienceForm, initial_audience
from portal.web.base_form import PortalForm
from portal.web.request_input import parse_id


class SendSubjectForm(PortalForm):
    """What the fields of a `SendForm` depend on."""

    template, recipient_file = HiddenField(), HiddenField()


class SendForm(AudienceForm):
    """`send_form` adds the fields of the values that the recipient file, if there is one, has no column for."""

    version: TemplateVersion
    recipients: RecipientFile | None = None
    template = HiddenField()
    form_id = HiddenField(filters=[lambda text: text[:40] or secrets.token_urlsafe(12)])
    version_id = HiddenField()
    recipient_file = HiddenField()
    shown_send = HiddenField(filters=[lambda text: text or "0"])
    """The latest send of the file when the author saw its page."""
    file = FileField(lazy_gettext("File"))

    @property
    def chosen_audience(self) -> dict[str, Any]:
        file_id = parse_id(self.recipient_file.data)
        return {"recipient_file": file_id} if file_id else super().chosen_audience

    @property
    def shown_send_id(self) -> int:
        return parse_id(self.shown_send.data) or 0

    @property
    def data_fields(self) -> tuple[str, ...]:
        """Also those that a file has columns for."""
        return data_fields(self.version)

    @property
    def value_fields(self) -> list[Any]:
        return [field for field in self if field.name.startswith("data.")]

    @property
    def values(self) -> dict[str, str]:
        typed = {field.name.removeprefix("data."): field.data for field in self.value_fields}
        return {**_values_for_blanks(self.recipients), **typed}

    @property
    def request_key(self) -> str:
        """Equal for equal values of one form, so that Back, reload and a double click lead to the same send."""
        return f"{self.form_id.data}:{self.digest}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(self.entered).encode()).hexdigest()[:24]

    @property
    def entered(self) -> list[Any]:
        return [self.key, *self.typed_audience, self.recipient_file.data, sorted(self.values.items())]

    @property
    def key(self) -> str:
        return self.version.template.key

    def plan(self) -> SendPlan:
        """Raises `InvalidInput`."""
        return plan_send(self.key, self.chosen_audience, self.values, now_ms())


FormT = TypeVar("FormT", bound=SendForm)


def send_form(template_key: str, **initial: str) -> SendForm | None:
    """The submitted form, or one with the `initial` values. None if there is no template with this key."""
    template = find_template(template_key)
    return None if template is None else _form_for(find_template_version(template), initial)


def submitted_send_form() -> SendForm | None:
    return send_form(SendSubjectForm().template.data)


def form_of_send(send: Send) -> SendForm:
    """A new form, filled in as it was for `send`."""
    template = send.version.template
    values = {f"data.{name}": value for name, value in send.data.items()}
    if file := file_audience.file_of(send.audience):
        audience = {"recipient_file": str(file.id), "shown_send": str(file.send_id or 0)}
    else:
        audience = initial_audience(send.audience)
    return _form_for(find_template_version(template), {"template": template.key, **audience, **values})


def form_of_file(file: RecipientFile) -> SendForm:
    """A new form for the people in the file, with the values for everyone that came with it."""
    template = file.version.template
    values = {f"data.{name}": value for name, value in file.data.items()}
    initial = {"template": template.key, "recipient_file": str(file.id), "shown_send": str(file.send_id or 0), **values}
    return _form_for(find_template_version(template), initial)


def empty_send_form(template_key: str) -> SendForm | None:
    """Without the submitted values, for a request that is too large to be read."""
    template = find_template(template_key)
    return None if template is None else _form_for(find_template_version(template), {}, formdata=None)


def _form_for(version: TemplateVersion, initial: Mapping[str, Any], **options: Any) -> SendForm:
    return form_with_values(SendForm, version, initial, **options)


def form_with_values(base: type[FormT], version: TemplateVersion, initial: Mapping[str, Any], **options: Any) -> FormT:
    """The submitted form, or one with the `initial` values, with a field for each value of the template."""
    file_id = parse_id(SendSubjectForm(data=initial, **options).recipient_file.data)
    recipients = file_audience.file_of({"recipient_file": file_id}) if file_id else None

    class VersionForm(base):  # type: ignore[misc, valid-type]
        """Has a field for each value of this version."""

    required = _required(version)
    for name in data_fields(version):
        if recipients and name in recipients.fields:
            continue
        value_field = StringField(
            name.replace("_", " ").capitalize(),
            filters=[text_input.clean_lines, str.strip],
            description="" if name in required else _("Optional."),
            render_kw={"required": name in required},
        )
        setattr(VersionForm, f"data.{name}", value_field)
    form = VersionForm(data=initial, **options)
    form.version, form.recipients = version, recipients
    return cast(FormT, form)


def _values_for_blanks(file: RecipientFile | None) -> dict[str, str]:
    """What the file's blank cells stand for."""
    return {name: file.data.get(name, "") for name in file.fields} if file else {}


def _required(version: TemplateVersion) -> tuple[str, ...]:
    """Empty for a template with an error, which the plan reports."""
    try:
        return required_fields(version)
    except MergeError:
        return ()
