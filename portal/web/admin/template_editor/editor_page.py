"""The page of the editor, which the views about previews, drafts and versions share."""

from dataclasses import dataclass

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Recipient
from portal.content.message_templates import (
    DraftConflict,
    TemplateDraft,
    TemplatePreview,
    VersionConflict,
    clean_draft,
    edit_conflict_message,
    sample_link,
)
from portal.content.rules.analysis.typography import HiddenCharacter, has_curly_quotes, hidden_characters
from portal.content.rules.merge_comparison import COMPARISON_HELP
from portal.content.rules.merge_filters import FILTER_HELP
from portal.content.tables.saved_drafts import find_draft
from portal.content.tables.templates import Template
from portal.content.tables.topics import Topic
from portal.content.template_words import FURTHER_LANGUAGES, word_field, words_for
from portal.content.text_content import organisation_names
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.translation import LANGUAGES
from portal.core.translation import gettext as _
from portal.messages.rules.text_advice import TextAdvice, text_advice
from portal.operations.template_uses import TemplateUse
from portal.sends.authoring.template_preview import preview_for, recipient_with_longest_subject
from portal.sends.tables.past_recipients import find_recipient, neighboring_recipient, search_recipients
from portal.web.admin.merge_field_list import list_merge_fields
from portal.web.admin.template_form import TemplateForm

pages = Blueprint("admin_templates", __name__, url_prefix="/Admin/Automations/Templates")
_MAX_FORM_BYTES = 24 * 1024 * 1024
"""A body that is far too long must be answered with its rule, and not be lost."""
_MAX_MATCHES = 8
_SAMPLE_IN = "sample-in-"
"""Followed by a language."""


@dataclass(frozen=True)
class PreviewPerson:
    """Whom a preview is for: None for a sample person. `matches` are people to choose from."""

    recipient: Recipient | None
    matches: tuple[Recipient, ...] = ()
    problem: str = ""

    @property
    def language(self) -> str:
        """In which a recipient reads."""
        return recipient_language(self.recipient.language).code if self.recipient else ""


@dataclass(frozen=True)
class EditorPreview:
    """`hidden` are the invisible characters of the subject and the body; `advice` is None without a text.

    `languages` are those in which the draft says something.
    """

    person: PreviewPerson
    message: TemplatePreview
    advice: TextAdvice | None
    hidden: dict[str, list[HiddenCharacter]]
    has_curly_quotes: bool
    languages: list[str]


@pages.url_value_preprocessor
def _raise_size_limit(_endpoint: str | None, _values: object) -> None:
    request.max_content_length = request.max_form_memory_size = _MAX_FORM_BYTES


def template_or_404(template_id: int) -> Template:
    return db.session.get(Template, template_id) or abort(404)


def submitted_template(form: TemplateForm) -> Template | None:
    """None while the template is new."""
    return db.session.get(Template, form.template_id.data or 0)


def build_preview(form: TemplateForm, template: Template | None) -> EditorPreview:
    draft = clean_draft(form.draft(template))
    person = _preview_person(form, draft, template)
    message = preview_for(draft, person.recipient, "" if person.recipient else form.language.data)
    words = words_for(draft.all_words, message.language)
    return EditorPreview(
        person=person,
        message=message,
        advice=text_advice(message.subject, sample_link(), organisation_names()) if message.sms else None,
        hidden={
            field: hidden_characters(getattr(words, part))
            for part in ("subject", "body")
            if (field := word_field(part, words.language)) not in message.errors
        },
        has_curly_quotes=has_curly_quotes(words.subject, words.body),
        languages=[row.language for row in draft.all_words if row.language in LANGUAGES],
    )


def _preview_person(form: TemplateForm, draft: TemplateDraft, template: Template | None) -> PreviewPerson:
    chosen_id, step = form.choose.data or form.recipient.data, form.step.data
    if step.startswith(_SAMPLE_IN):
        form.language.data = step.removeprefix(_SAMPLE_IN)
        return PreviewPerson(None)
    if step == "find":
        return _found_person(form.find.data, chosen_id)
    if step == "longest":
        longest = recipient_with_longest_subject(draft, template.id if template else None)
        return PreviewPerson(longest, problem="" if longest else _("The subject can be filled in for nobody."))
    if step in ("next", "previous"):
        return PreviewPerson(neighboring_recipient(chosen_id or 0, step == "next"))
    return PreviewPerson(find_recipient(chosen_id) if chosen_id and step != "sample" else None)


def _found_person(search_text: str, chosen_id: int | None) -> PreviewPerson:
    """The only match; several are offered, and the person shown stays."""
    current = find_recipient(chosen_id) if chosen_id else None
    if not search_text.strip():
        return PreviewPerson(current)
    matches = tuple(search_recipients(search_text, _MAX_MATCHES))
    if len(matches) == 1:
        return PreviewPerson(matches[0])
    nobody = _("No active account matches “%(search)s”.", search=search_text)
    return PreviewPerson(current, matches, "" if matches else nobody)


def editor_page(
    template: Template | None,
    form: TemplateForm,
    is_unsaved: bool = False,
    affected: dict[str, list[TemplateUse]] | None = None,
) -> ResponseReturnValue:
    """`affected` are the removed fields that something provides, to be confirmed before the draft is published."""
    preview = build_preview(form, template)
    page = render_template(
        "admin/templates/editor.html",
        template=template,
        form=form,
        topic=db.session.get(Topic, template.topic_id) if template and template.topic_id else None,
        saved_draft=find_draft(template.id) if template else None,
        is_unsaved=is_unsaved or bool(form.errors or affected),
        affected=affected or {},
        preview=preview,
        merge_fields=list_merge_fields(preview.message.data_fields),
        filters=FILTER_HELP,
        comparisons=COMPARISON_HELP,
        further_languages=FURTHER_LANGUAGES,
    )
    return page, 422 if form.errors or affected else 200


def conflict_page(template_id: int, form: TemplateForm, conflict: ActionRefused) -> ResponseReturnValue:
    """What was typed stays; saving it again is then based on what others have saved."""
    template = template_or_404(template_id)
    if isinstance(conflict, VersionConflict):
        error = InvalidInput({"base_version": edit_conflict_message(template.current_version)})
    else:
        error = InvalidInput({"draft_saved_ms": DraftConflict().message})
    return editor_page(template, form.with_errors(error))


def saved(template_id: int, message: str) -> ResponseReturnValue:
    flash(message, "info")
    recipient = TemplateForm().recipient.data
    return redirect(url_for("admin_templates.edit", template_id=template_id, recipient=recipient), 303)
