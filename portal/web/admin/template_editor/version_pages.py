"""Versions of a template: look at one, compare two, and restore one."""

from dataclasses import dataclass

from flask import abort, render_template
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.tables.accounts import Recipient
from portal.content import message_templates
from portal.content.message_templates import (
    TemplateDraft,
    TemplatePreview,
    VersionConflict,
    draft_of,
    preview_template,
)
from portal.content.rules.text_diff import DiffPart, diff_words
from portal.content.tables.saved_drafts import find_draft
from portal.content.tables.templates import Template, TemplateVersion
from portal.content.template_drafts import latest_content
from portal.content.template_words import TemplateWords, Worded
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.operations.template_uses import TemplateUse, affected_uses
from portal.sends.authoring.template_comparison import COMPARED_RECIPIENTS, TextTotals, text_totals
from portal.sends.authoring.template_preview import people_of, preview_for
from portal.sends.tables.past_recipients import past_recipients
from portal.settings.app_settings import current_send_settings
from portal.web.access import allow
from portal.web.admin.template_editor.editor_page import pages, saved, template_or_404
from portal.web.admin.template_form import TemplateForm
from portal.web.request_input import query_text

_DRAFT = "draft"
_NOTHING = TemplateWords("", "", "")


@dataclass(frozen=True)
class ComparedVersion:
    """`choice` is the number of the version, or `draft`."""

    choice: str
    label: str
    draft: TemplateDraft
    preview: TemplatePreview
    totals: TextTotals


@dataclass(frozen=True)
class WordChanges:
    """What changes in the words of one language."""

    language: str
    subject: tuple[DiffPart, ...]
    body: tuple[DiffPart, ...]


@pages.get("/<id:template_id>/versions/<id:number>")
@allow("admin")
def version(template_id: int, number: int) -> str:
    return _version_page(_version(template_id, number))


@pages.post("/<id:template_id>/versions/<id:number>/restore")
@allow("admin")
def restore(template_id: int, number: int) -> ResponseReturnValue:
    """Save an old version as the newest. If a field goes that something provides, ask first."""
    old, form = _version(template_id, number), TemplateForm()
    affected = affected_uses(old.template, draft_of(old))
    if affected and form.confirmed_fields.data != " ".join(affected):
        return _version_page(old, affected=affected), 422
    try:
        new_number = message_templates.save_template(
            template_id, draft_of(old), current_user.id, now_ms(), form.base_version.data, number
        )
    except InvalidInput as error:
        problem = _("This version can no longer be used: %(problem)s", problem=next(iter(error.errors.values())))
        return _version_page(old, problem), 422
    except VersionConflict:
        return _version_page(old, _("Somebody saved another version meanwhile. Check what is in use now.")), 422
    message = _(
        "Version %(number)s is restored as version %(saved)s. New sends use it.", number=number, saved=new_number
    )
    return saved(template_id, message)


@pages.get("/<id:template_id>/compare")
@allow("admin")
def compare(template_id: int) -> str:
    """Two versions, or a version and the draft, side by side."""
    template = template_or_404(template_id)
    choices = _choices(template)
    newest = list(choices)[: 2 if len(choices) > 1 else 1]
    chosen = (query_text("from") or newest[-1], query_text("to") or newest[0])
    people = people_of(template_id, COMPARED_RECIPIENTS)
    before, after = (_compared(template, choice, choices, people) for choice in chosen)
    return render_template(
        "admin/templates/compare.html",
        template=template,
        choices=choices,
        before=before,
        after=after,
        person=people[0] if people else None,
        people_count=len(people),
        was_sent=bool(past_recipients(template_id, 1)),
        changes=_changes(before.draft, after.draft),
    )


def _changes(before: Worded, after: Worded) -> list[WordChanges]:
    """In every language that one of them has."""
    first, second = ({words.language: words for words in side.all_words} for side in (before, after))
    pairs = {language: (first.get(language, _NOTHING), second.get(language, _NOTHING)) for language in first | second}
    return [
        WordChanges(language, diff_words(old.subject, new.subject), diff_words(old.body, new.body))
        for language, (old, new) in pairs.items()
    ]


def _choices(template: Template) -> dict[str, str]:
    """The label of the draft and of each version, newest first."""
    draft = {_DRAFT: _("Draft")} if find_draft(template.id) else {}
    return draft | {str(row.number): _version_label(template, row) for row in template.versions}


def _version_label(template: Template, row: TemplateVersion) -> str:
    if row.number == template.current_version:
        return _("Version %(number)s, in use", number=str(row.number))
    return _("Version %(number)s", number=str(row.number))


def _compared(template: Template, choice: str, choices: dict[str, str], people: list[Recipient]) -> ComparedVersion:
    if choice not in choices:
        abort(404)
    draft = latest_content(template) if choice == _DRAFT else draft_of(_version(template.id, int(choice)))
    preview = preview_for(draft, people[0] if people else None)
    totals = text_totals(draft, people, current_send_settings().price_per_segment)
    return ComparedVersion(choice, choices[choice], draft, preview, totals)


def _version(template_id: int, number: int) -> TemplateVersion:
    versions = template_or_404(template_id).versions
    return next((version for version in versions if version.number == number), None) or abort(404)


def _version_page(
    version: TemplateVersion, problem: str = "", affected: dict[str, list[TemplateUse]] | None = None
) -> str:
    template = version.template
    in_use = next(row for row in template.versions if row.number == template.current_version)
    draft = draft_of(version)
    return render_template(
        "admin/templates/version.html",
        template=template,
        version=version,
        previews=[(words, preview_template(draft, language=words.language)) for words in draft.all_words],
        problem=problem,
        affected=affected or {},
        changes=_changes(in_use, version),
        can_restore=draft != draft_of(in_use),
    )
