"""The draft of a template: saved while it is written, without becoming what sends use."""

from dataclasses import replace

from portal.content.message_templates import DraftConflict, TemplateDraft, clean_draft, draft_of, end_draft
from portal.content.rules.template_tags import tags_problem
from portal.content.tables.saved_drafts import SavedDraft, draft_saved_at_ms, find_draft
from portal.content.tables.templates import Template, find_template_version
from portal.content.template_checks import too_long_problem, too_long_words
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

_FIELDS = ("name", "subject", "body", "urgent", "sms_enabled", "sms_expiry_hours", "tags", "sensitive")


def latest_content(template: Template) -> TemplateDraft:
    """The saved draft, or the current version."""
    published, saved = draft_of(find_template_version(template)), find_draft(template.id)
    if saved is None:
        return published
    return replace(published, **{name: getattr(saved, name) for name in _FIELDS}, variants=saved.all_words[1:])


def save_draft(
    template_id: int, draft: TemplateDraft, author_id: int | None, now_ms: int, base_version: int, saved_ms: int
) -> None:
    """A draft may be unfinished, but not too long. Saving the same again, as a double click does, changes nothing.

    `saved_ms` is when the draft was saved with which the edit began, 0 for none. Raises `InvalidInput` and
    `DraftConflict`.
    """
    draft = clean_draft(draft)
    if errors := _length_errors(draft):
        raise InvalidInput(errors)
    with transaction() as session:
        template, saved = _lock_template(template_id), find_draft(template_id)
        if saved and _is_same(saved, draft):
            return
        if draft_saved_at_ms(template_id) != saved_ms:
            raise DraftConflict
        if saved is None:
            saved = SavedDraft(template_id=template_id, base_version=min(base_version, template.current_version))
            session.add(saved)
        for name in _FIELDS:
            setattr(saved, name, getattr(draft, name))
        saved.variants = {words.language: [words.subject, words.body] for words in draft.variants}
        saved.saved_at_ms, saved.saved_by_id = max(now_ms, saved_ms + 1), author_id
        _record("template_draft_saved", template, author_id, now_ms)


def _is_same(saved: SavedDraft, draft: TemplateDraft) -> bool:
    is_same = all(getattr(saved, name) == getattr(draft, name) for name in _FIELDS)
    return is_same and saved.all_words == draft.all_words


def discard_draft(template_id: int, author_id: int | None, now_ms: int, saved_ms: int) -> None:
    """Raises `DraftConflict` if somebody has changed it since it was saved at `saved_ms`."""
    with transaction():
        template = _lock_template(template_id)
        end_draft(template_id, saved_ms)
        _record("template_draft_discarded", template, author_id, now_ms)


def _length_errors(draft: TemplateDraft) -> dict[str, str]:
    problems = {"name": too_long_problem("name", draft.name), "tags": tags_problem(draft.tags)}
    return {name: problem for name, problem in problems.items() if problem} | too_long_words(draft.all_words)


def _lock_template(template_id: int) -> Template:
    template = db.session.get(Template, template_id, with_for_update=True)
    if template is None:
        raise ActionRefused(_("This template does not exist."))
    return template


def _record(action: str, template: Template, author_id: int | None, now_ms: int) -> None:
    record_audit_entry(action, f"template {template.key}", author_id, now_ms, template_id=template.id)
