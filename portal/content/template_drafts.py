"""The draft of a template: saved while it is written, without becoming what sends use."""

from dataclasses import replace

from portal.content.message_templates import (
    DraftConflict,
    TemplateDraft,
    clean_draft,
    draft_of,
    end_draft,
    too_long_problem,
)
from portal.content.rules.template_tags import tags_problem
from portal.content.tables.saved_drafts import SavedDraft, draft_saved_at_ms, find_draft
from portal.content.tables.templates import Template, find_template_version
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

_FIELDS = ("name", "subject", "body", "urgent", "sms_enabled", "sms_expiry_hours", "tags", "sensitive")


def latest_content(template: Template) -> TemplateDraft:
    """The saved draft, or the current version."""
    published, saved = draft_of(find_template_version(template)), find_draft(template.id)
    return replace(published, **{name: getattr(saved, name) for name in _FIELDS}) if saved else published


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
        if saved and all(getattr(saved, name) == getattr(draft, name) for name in _FIELDS):
            return
        if draft_saved_at_ms(template_id) != saved_ms:
            raise DraftConflict
        if saved is None:
            saved = SavedDraft(template_id=template_id, base_version=min(base_version, template.current_version))
            session.add(saved)
        for name in _FIELDS:
            setattr(saved, name, getattr(draft, name))
        saved.saved_at_ms, saved.saved_by_id = max(now_ms, saved_ms + 1), author_id
        _record("template_draft_saved", template, author_id, now_ms)


def discard_draft(template_id: int, author_id: int | None, now_ms: int, saved_ms: int) -> None:
    """Raises `DraftConflict` if somebody has changed it since it was saved at `saved_ms`."""
    with transaction():
        template = _lock_template(template_id)
        end_draft(template_id, saved_ms)
        _record("template_draft_discarded", template, author_id, now_ms)


def _length_errors(draft: TemplateDraft) -> dict[str, str]:
    problems = {name: too_long_problem(name, getattr(draft, name)) for name in ("name", "subject", "body")}
    problems["tags"] = tags_problem(draft.tags)
    return {name: problem for name, problem in problems.items() if problem}


def _lock_template(template_id: int) -> Template:
    template = db.session.get(Template, template_id, with_for_update=True)
    if template is None:
        raise ActionRefused(_("This template does not exist."))
    return template


def _record(action: str, template: Template, author_id: int | None, now_ms: int) -> None:
    record_audit_entry(action, f"template {template.key}", author_id, now_ms, template_id=template.id)
