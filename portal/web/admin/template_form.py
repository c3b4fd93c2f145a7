"""The form of the template editor."""

import re
import secrets
from dataclasses import replace
from typing import Any, Self

from babel.support import LazyProxy
from wtforms import BooleanField, Field, HiddenField, RadioField, SearchField, StringField, TextAreaField
from wtforms.utils import unset_value
from wtforms.widgets import NumberInput

from portal.content.message_templates import TemplateDraft
from portal.content.tables.templates import Template
from portal.content.template_drafts import latest_content
from portal.content.template_words import FURTHER_LANGUAGES, TemplateWords, language_label, word_field
from portal.core.rules.text_input import clean_for_storage
from portal.core.translation import LANGUAGES, N_, lazy_gettext
from portal.core.translation import gettext as _
from portal.web.base_form import PortalForm
from portal.web.layout import is_sms_visible
from portal.web.request_input import parse_id, parse_version

_VARIANT_FIELD = re.compile(r"(?:subject|body)_(\w{1,20})")
_PARTS = ("subject", "body")
_EMPTY = TemplateDraft(key="", name="", subject="", body="")


def _priorities() -> dict[str, str]:
    urgent = _("Urgent: sent before everything that is waiting")
    if is_sms_visible():
        urgent = _(
            "Urgent: sent before everything that is waiting, also during quiet hours, beyond the limit of texts in "
            "24 hours, and to people who switched off the topic. For what cannot wait, never for advertising."
        )
    return {"normal": _("Normal"), "urgent": urgent}


def _email_views() -> dict[str, str]:
    return {"desk": _("On a desk"), "phone": _("On a phone"), "text": _("Without formatting")}


class OtherLanguagesField(Field):  # type: ignore[misc]
    """Words in languages that the portal does not have, or no longer: they are refused, and stay on the page."""

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        super().process(formdata, data, extra_filters)
        if formdata:
            self.data = self._typed(formdata)

    def _typed(self, formdata: Any) -> list[TemplateWords]:
        named = {match[1] for name in formdata if (match := _VARIANT_FIELD.fullmatch(name))}
        return [
            TemplateWords(language, *(clean_for_storage(formdata.get(f"{part}_{language}", "")) for part in _PARTS))
            for language in sorted(named.difference(LANGUAGES))
        ]


class TemplateForm(PortalForm):
    """`base_version` and `draft_saved_ms` are what the edit began with, `form_id` tells one page from another.

    `confirmed_fields` are the removed fields that the author has agreed to lose. The fields from `recipient` on choose
    what the preview shows.
    """

    template_id = HiddenField(filters=[parse_id])
    base_version = HiddenField(filters=[parse_version])
    draft_saved_ms = HiddenField(filters=[parse_version])
    form_id = HiddenField(filters=[lambda text: text[:40] or secrets.token_urlsafe(12)])
    confirmed_fields = HiddenField()
    key = StringField(lazy_gettext("Key"))
    name = StringField(lazy_gettext("Name"), description=lazy_gettext("Recipients do not see this name."))
    tags = StringField(
        lazy_gettext("Tags"),
        description=lazy_gettext("Such as renewals, exams. They help to find the template in the list."),
    )
    subject = StringField(lazy_gettext("Subject"))
    body = TextAreaField(
        lazy_gettext("Body"), description=lazy_gettext("Markdown: **bold**, [a link](https://example.org), - a list.")
    )
    priority = RadioField(choices=_priorities, default="normal", validate_choice=False)
    sensitive = BooleanField(lazy_gettext("Sensitive: administrators cannot read the content of sent messages"))
    sms_enabled = BooleanField(lazy_gettext("Also text the subject and a link to people who have enabled texts"))
    sms_expiry_hours = StringField(lazy_gettext("Texts expire after (hours)"), widget=NumberInput())
    languages = OtherLanguagesField(default=())
    recipient = HiddenField(filters=[parse_id])
    language = HiddenField()
    """Of the preview for the sample person."""
    step = HiddenField()
    choose = HiddenField(filters=[parse_id])
    email_view = RadioField(choices=_email_views, default="desk", validate_choice=False)
    find = SearchField(lazy_gettext("For whom"))

    @classmethod
    def of(cls, template: Template) -> Self:
        """With the saved draft, if there is one."""
        return cls.with_draft(latest_content(template))

    @classmethod
    def with_draft(cls, draft: TemplateDraft) -> Self:
        variants = {
            word_field(part, words.language): getattr(words, part) for words in draft.variants for part in _PARTS
        }
        unknown = [words for words in draft.variants if words.language not in LANGUAGES]
        priority = "urgent" if draft.urgent else "normal"
        return cls(obj=draft, priority=priority, languages=unknown, **variants)

    def draft(self, template: Template | None) -> TemplateDraft:
        """While texts are hidden, the settings for texts do not change."""
        current = latest_content(template) if template else _EMPTY
        names = ("name", "subject", "body", "tags", *(("sms_enabled", "sms_expiry_hours") if is_sms_visible() else ()))
        key = template.key if template else self.key.data
        urgent = self.priority.data == "urgent"
        sensitive = self.sensitive.data or (template is not None and template.sensitive)
        changes = {name: self[name].data for name in names}
        variants = self._variants(current)
        return replace(current, key=key, urgent=urgent, sensitive=sensitive, variants=variants, **changes)

    def _variants(self, current: TemplateDraft) -> tuple[TemplateWords, ...]:
        """A page of the previous release does not send them, and changes none."""
        typed = {
            language: TemplateWords(language, *(self[word_field(part, language)].data for part in _PARTS))
            for language in FURTHER_LANGUAGES
            if any(self[word_field(part, language)].raw_data for part in _PARTS)
        }
        kept, unknown = ({words.language: words for words in rows} for rows in (current.variants, self.languages.data))
        return tuple((kept | typed | unknown).values())

    def variant_fields(self, language: str) -> list[Any]:
        """The subject and the body."""
        return [self[word_field(part, language)] for part in _PARTS]

    def remove_variant(self, language: str) -> None:
        for field in self.variant_fields(language):
            field.data = ""


def _add_variant_fields(language: str) -> None:
    labels = {"subject": N_("Subject in %(language)s"), "body": N_("Body in %(language)s")}
    for part, kind in (("subject", StringField), ("body", TextAreaField)):
        label = LazyProxy(lambda text: _(text, language=language_label(language)), labels[part], enable_cache=False)
        setattr(TemplateForm, word_field(part, language), kind(label))


for _language in FURTHER_LANGUAGES:
    _add_variant_fields(_language)
