"""The form of the template editor."""

from dataclasses import replace
from typing import Self

from wtforms import BooleanField, HiddenField, RadioField, StringField, TextAreaField
from wtforms.widgets import NumberInput

from portal.content.message_templates import TemplateDraft, draft_of
from portal.content.tables.templates import Template, find_template_version
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.base_form import PortalForm
from portal.web.layout import is_sms_visible
from portal.web.request_input import parse_id, parse_version

_EMPTY = TemplateDraft(key="", name="", subject="", body="")


def _priorities() -> dict[str, str]:
    urgent = _("Urgent: sent before everything that is waiting")
    if is_sms_visible():
        urgent = _("Urgent: sent before everything that is waiting, and during quiet hours")
    return {"normal": _("Normal"), "urgent": urgent}


class TemplateForm(PortalForm):
    template_id = HiddenField(filters=[parse_id])
    base_version = HiddenField(filters=[parse_version])
    key = StringField(lazy_gettext("Key"))
    name = StringField(lazy_gettext("Name"), description=lazy_gettext("Recipients do not see this name."))
    subject = StringField(lazy_gettext("Subject"))
    body = TextAreaField(
        lazy_gettext("Body"), description=lazy_gettext("Markdown: **bold**, [a link](https://example.org), - a list.")
    )
    priority = RadioField(choices=_priorities, default="normal", validate_choice=False)
    sms_enabled = BooleanField(lazy_gettext("Also text the subject and a link to people who have enabled texts"))
    sms_expiry_hours = StringField(lazy_gettext("Texts expire after (hours)"), widget=NumberInput())

    @classmethod
    def of(cls, template: Template) -> Self:
        draft = draft_of(find_template_version(template))
        return cls(obj=draft, priority="urgent" if draft.urgent else "normal")

    def draft(self, template: Template | None) -> TemplateDraft:
        """While texts are hidden, the settings for texts do not change."""
        current = draft_of(find_template_version(template)) if template else _EMPTY
        names = ("name", "subject", "body", *(("sms_enabled", "sms_expiry_hours") if is_sms_visible() else ()))
        key = template.key if template else self.key.data
        urgent = self.priority.data == "urgent"
        return replace(current, key=key, urgent=urgent, **{name: self[name].data for name in names})
