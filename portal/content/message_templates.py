"""Templates: create, edit as a new version, preview."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlalchemy.exc import IntegrityError

from portal.accounts.rules.attribute_values import AttributeDefinition
from portal.accounts.tables.attributes import all_attributes
from portal.content.links import communication_url
from portal.content.rules import markdown, merge_fields
from portal.content.rules.analysis.merge_risks import RiskyFields
from portal.content.rules.analysis.typography import direction_problem
from portal.content.rules.merge_fields import CheckedTemplate, MergeError
from portal.content.rules.template_tags import parse_tags, tags_problem
from portal.content.rules.text_rules import notification_text
from portal.content.tables.saved_drafts import SavedDraft, draft_saved_at_ms
from portal.content.tables.templates import (
    Template,
    TemplateVersion,
    current_template_versions,
    find_template,
    find_template_version,
)
from portal.content.text_content import link_problem, organisation_names
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules.sms_segments import FittedText

_KEY = re.compile(r"^[a-z][a-z0-9]*([-_][a-z0-9]+)*$")
_LIMITS = {"key": 60, "name": 120, "subject": 250, "body": 50_000}
_MISSING = {"name": N_("Enter a name."), "subject": N_("Enter a subject."), "body": N_("Enter a body.")}
_MAX_EXPIRY_HOURS = 720
_SAMPLE_LINK_KEY = "Xy7Kp2Qa"
SAMPLE_VALUES = merge_fields.as_samples(
    {
        "name": "Jordan Rivera",
        "first_name": "Jordan",
        "email": "jordan.rivera@example.org",
        "external_id": "P-1042",
        "account_type": "Practitioner",
    }
)


@dataclass(frozen=True)
class TemplateDraft:
    key: str
    name: str
    subject: str
    body: str
    urgent: bool = False
    sms_enabled: bool = False
    sms_expiry_hours: str = ""
    """As typed: whole hours, or empty for texts that do not expire."""
    tags: str = ""
    """As typed, separated by commas."""
    sensitive: bool = False


@dataclass(frozen=True)
class TemplatePreview:
    """What a recipient would get, as far as the draft is valid; `sms` is None for email-only templates.

    `body` is Markdown with the values marked.
    """

    subject: str
    body: str
    sms: FittedText | None
    data_fields: tuple[str, ...] = ()
    required_fields: tuple[str, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)

    @cached_property
    def html(self) -> str:
        return markdown.to_html(self.body)

    @cached_property
    def text(self) -> str:
        return markdown.to_text(self.body)


def create_template(draft: TemplateDraft, author_id: int | None, now_ms: int) -> int:
    """The template's id. Raises `InvalidInput` for `key`, `name`, `subject`, `body` or `sms_expiry_hours`."""
    draft = clean_draft(draft)
    if errors := {**_key_error(draft.key), **_errors(draft)}:
        raise InvalidInput(errors)
    try:
        with transaction() as session:
            template = Template(key=draft.key, name=draft.name, created_at_ms=now_ms, tags=parse_tags(draft.tags))
            template.sensitive = draft.sensitive
            session.add(template)
            session.flush()
            session.add(_version(template.id, 1, draft, author_id, now_ms))
            subject = f"template {draft.key}"
            record_audit_entry("template_created", subject, author_id, now_ms, template_id=template.id)
            return template.id
    except IntegrityError as error:
        problem = _("Another template already uses the key “%(key)s”. Choose a different key.", key=draft.key)
        raise InvalidInput({"key": problem}) from error


class VersionConflict(ActionRefused):
    """Somebody else saved a version after this edit began."""

    def __init__(self, version: int) -> None:
        super().__init__(_("Somebody saved version %(version)s in the meantime.", version=version))


class DraftConflict(ActionRefused):
    """Somebody else saved, discarded or published the draft after this edit began."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "Somebody changed the draft while you were editing. Your changes are still here: compare them with the "
                "draft, then save again."
            )
        )


def edit_conflict_message(version: int) -> str:
    """For the page that still shows what was typed."""
    return _(
        "Somebody saved version %(version)s while you were editing. Your changes are still here: compare them with "
        "that version, then save again.",
        version=version,
    )


def save_template(
    template_id: int,
    draft: TemplateDraft,
    author_id: int | None,
    now_ms: int,
    base_version: int | None = None,
    restored_from: int | None = None,
    draft_saved_ms: int | None = None,
) -> int:
    """The number of the new version. The key never changes, because scripts refer to it.

    `restored_from` is the version that the draft comes from. `draft_saved_ms` ends the draft that was saved then; 0
    stands for none. Raises `InvalidInput`, `VersionConflict` if `base_version` is no longer current, and
    `DraftConflict`.
    """
    draft = clean_draft(draft)
    if errors := _errors(draft):
        raise InvalidInput(errors)
    with transaction() as session:
        template = session.get(Template, template_id, with_for_update=True)
        if template is None:
            raise ActionRefused(_("This template does not exist."))
        if base_version is not None and base_version != template.current_version:
            raise VersionConflict(template.current_version)
        if draft_saved_ms is not None:
            end_draft(template_id, draft_saved_ms)
        template.name, template.tags = draft.name, parse_tags(draft.tags)
        template.sensitive = template.sensitive or draft.sensitive
        template.current_version += 1
        session.add(_version(template.id, template.current_version, draft, author_id, now_ms))
        action, detail = version_change("template", template.current_version, restored_from)
        subject = f"template {template.key}"
        record_audit_entry(action, subject, author_id, now_ms, template_id=template.id, **detail)
        return template.current_version


def end_draft(template_id: int, saved_ms: int) -> None:
    """Must be called inside a transaction that locks the template. Raises `DraftConflict`."""
    if draft_saved_at_ms(template_id) != saved_ms:
        raise DraftConflict
    if saved_ms:
        db.session.delete(db.session.get_one(SavedDraft, template_id))


def version_change(kind: str, number: int, restored_from: int | None) -> tuple[str, dict[str, int | str]]:
    """The action and the detail of a new version in the audit log."""
    if restored_from is None:
        return f"{kind}_saved", {"version": number}
    origin = {"from_version": restored_from} if restored_from else {"from": "the default"}
    return f"{kind}_restored", {"version": number, **origin}


def preview_template(draft: TemplateDraft, account_values: Mapping[str, Any] | None = None) -> TemplatePreview:
    """Never raises: invalid fields are listed in `errors` and left out of the preview.

    `data.…` has sample values, and so has the account if its values are not given.
    """
    draft = clean_draft(draft)
    errors = _errors(draft)
    subject, body = ("" if name in errors else getattr(draft, name) for name in ("subject", "body"))
    readable = replace(draft, subject=subject, body=body)
    fields = data_fields(readable)
    values = {**(account_values or sample_values()), "data": merge_fields.sample_data(fields)}
    try:
        preview = render_preview(readable.subject, readable.body, values, draft.sms_enabled)
    except MergeError as error:
        part = _failed_part(readable.subject, values)
        preview, errors = TemplatePreview(readable.subject, "", None), {part: str(error)} | errors
    return replace(preview, data_fields=fields, required_fields=required_fields(readable), errors=errors)


def _failed_part(subject: str, values: Mapping[str, Any]) -> str:
    """Which of the two cannot be filled in."""
    try:
        merge_fields.render_subject(subject, values, reject_blanks=True)
    except MergeError:
        return "subject"
    return "body"


def unusable_templates() -> dict[str, str]:
    """Template key to problem, for current versions that today's rules would not accept."""
    versions, declared = current_template_versions(), _declared_attributes()
    problems = {
        row.template.key: _merge_problem(row.subject, declared) or _merge_problem(row.body, declared)
        for row in versions
    }
    return {key: problem for key, problem in problems.items() if problem}


def preview_current_version(key: str) -> TemplatePreview:
    """Raises `ActionRefused` if there is no such template."""
    template = find_template(key)
    if template is None:
        raise ActionRefused(_("There is no template with the key “%(key)s”.", key=key))
    return preview_template(draft_of(find_template_version(template)))


def draft_of(version: TemplateVersion) -> TemplateDraft:
    template, hours = version.template, version.sms_expiry_hours
    content = version.subject, version.body, version.urgent, version.sms_enabled
    settings = "" if hours is None else str(hours), ", ".join(template.tags)
    return TemplateDraft(template.key, template.name, *content, *settings, template.sensitive)


def copy_of(template: Template) -> TemplateDraft:
    """The current version as the start of a new template."""
    draft = draft_of(find_template_version(template))
    name = _("Copy of %(name)s", name=draft.name)[: _LIMITS["name"]]
    return replace(draft, key=f"{draft.key[: _LIMITS['key'] - 5]}-copy", name=name)


def render_preview(subject: str, body: str, values: Mapping[str, Any], with_text: bool) -> TemplatePreview:
    """Raises `MergeError`."""
    subject = merge_fields.render_subject(subject, values, reject_blanks=True)
    body = merge_fields.render_body(body, values, reject_blanks=True)
    with_text = with_text and bool(subject)
    fitted = notification_text(subject, sample_link(), organisation_names()) if with_text else None
    return TemplatePreview(subject, body, fitted)


def sample_link() -> str:
    """As long as a real one."""
    return communication_url(_SAMPLE_LINK_KEY)


def sample_values() -> dict[str, str]:
    """Of all merge fields of a sample account."""
    return SAMPLE_VALUES | merge_fields.sample_attributes(_declared_attributes())


def data_fields(version: TemplateVersion | TemplateDraft) -> tuple[str, ...]:
    """The `data.…` names that a send of this version provides; empty if the version is no longer valid."""
    try:
        checked = _checked(version)
    except MergeError:
        return ()
    return tuple(dict.fromkeys(name for part in checked for name in part.data_fields))


def required_fields(version: TemplateVersion | TemplateDraft) -> tuple[str, ...]:
    """The `data.…` names that may not be blank. Raises `MergeError` if the version is no longer valid."""
    return tuple(dict.fromkeys(name for part in _checked(version) for name in part.required_names))


def attribute_fields(version: TemplateVersion | TemplateDraft | SavedDraft) -> tuple[str, ...]:
    """The keys of the attributes that it names; empty if the version is no longer valid."""
    try:
        return merge_fields.attribute_names(version.subject, version.body)
    except MergeError:
        return ()


def required_attributes(version: TemplateVersion | TemplateDraft) -> tuple[str, ...]:
    """Those of them that may not be blank: an account without one of them gets no message."""
    try:
        return merge_fields.required_attributes(version.subject, version.body)
    except MergeError:
        return ()


def risky_fields(version: TemplateVersion | TemplateDraft) -> RiskyFields:
    """The fields of a person that decide whether it can be filled in, beside the required attributes."""
    try:
        return merge_fields.risky_fields(_declared_attributes(), version.subject, version.body)
    except MergeError:
        return RiskyFields()


def _checked(version: TemplateVersion | TemplateDraft) -> list[CheckedTemplate]:
    declared = _declared_attributes()
    return [merge_fields.check_template(text, attributes=declared) for text in (version.subject, version.body)]


def _declared_attributes() -> tuple[AttributeDefinition, ...]:
    return tuple(attribute.definition for attribute in all_attributes())


def clean_draft(draft: TemplateDraft) -> TemplateDraft:
    """PostgreSQL rejects null bytes, and browsers send CRLF line ends."""
    return replace(
        draft,
        key=text_input.clean_code(draft.key),
        name=text_input.clean_line(draft.name),
        subject=" ".join(draft.subject.replace("\x00", "").split()),
        body=draft.body.replace("\x00", "").replace("\r\n", "\n"),
        sms_expiry_hours=text_input.clean_code(draft.sms_expiry_hours),
    )


def _errors(draft: TemplateDraft) -> dict[str, str]:
    declared = _declared_attributes()
    problems = {
        "name": _length_problem("name", draft.name),
        "subject": _length_problem("subject", draft.subject) or _subject_problem(draft, declared),
        "body": _length_problem("body", draft.body) or _source_problem(draft.body, declared),
        "tags": tags_problem(draft.tags),
    }
    return {name: problem for name, problem in problems.items() if problem} | _expiry_error(draft.sms_expiry_hours)


def _expiry_error(text: str) -> dict[str, str]:
    if not text or (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MAX_EXPIRY_HOURS):
        return {}
    rule = _("Enter a whole number of hours from 1 to %(limit)s, or leave it empty.", limit=_MAX_EXPIRY_HOURS)
    return {"sms_expiry_hours": rule}


def _length_problem(name: str, text: str) -> str | None:
    if not text.strip():
        return _(_MISSING[name])
    return too_long_problem(name, text)


def too_long_problem(name: str, text: str) -> str | None:
    if len(text) <= _LIMITS[name]:
        return None
    return _("Use %(limit)s characters or fewer. You have used %(length)s.", limit=_LIMITS[name], length=len(text))


def _subject_problem(draft: TemplateDraft, declared: tuple[AttributeDefinition, ...]) -> str | None:
    """The subject is the text."""
    return _source_problem(draft.subject, declared) or (link_problem(draft.subject) if draft.sms_enabled else None)


def _source_problem(source: str, declared: tuple[AttributeDefinition, ...]) -> str | None:
    return direction_problem(source) or _merge_problem(source, declared)


def _merge_problem(source: str, declared: tuple[AttributeDefinition, ...]) -> str | None:
    try:
        merge_fields.check_template(source, attributes=declared)
    except MergeError as error:
        return str(error)
    if markdown.max_cell_count(source) > markdown.MAX_TABLE_CELLS:
        limit = markdown.MAX_TABLE_CELLS
        return _("Make the tables smaller: together they may have %(limit)s cells at most.", limit=limit)
    return None


def _key_error(key: str) -> dict[str, str]:
    if _KEY.match(key) and len(key) <= _LIMITS["key"]:
        return {}
    rule = _("Use lowercase letters, digits and single hyphens, and start with a letter, such as renewal-due-60.")
    return {"key": rule}


def _version(
    template_id: int, number: int, draft: TemplateDraft, author_id: int | None, now_ms: int
) -> TemplateVersion:
    copied = {name: getattr(draft, name) for name in ("subject", "body", "urgent", "sms_enabled")}
    return TemplateVersion(
        **copied,
        template_id=template_id,
        number=number,
        sms_expiry_hours=int(draft.sms_expiry_hours) if draft.sms_expiry_hours else None,
        created_at_ms=now_ms,
        created_by_id=author_id,
    )
