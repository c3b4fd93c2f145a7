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
from portal.content.rules.merge_fields import CheckedTemplate, MergeError
from portal.content.rules.template_tags import parse_tags, tags_problem
from portal.content.rules.text_rules import notification_text
from portal.content.tables.saved_drafts import SavedDraft, draft_saved_at_ms
from portal.content.tables.templates import (
    Template,
    TemplateVariant,
    TemplateVersion,
    current_template_versions,
    find_template,
    find_template_version,
)
from portal.content.template_checks import (
    MAX_LENGTHS,
    length_problem,
    merge_problem,
    missing_fields,
    without_problems,
    word_problems,
)
from portal.content.template_words import (
    OWN_LANGUAGE,
    TemplateWords,
    Worded,
    fill_in,
    fill_in_subject,
    language_label,
    missing_languages,
    word_field,
    words_for,
)
from portal.content.text_content import organisation_names
from portal.core.audit_log import record_audit_entry
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.transaction import transaction
from portal.core.translation import LANGUAGES
from portal.core.translation import gettext as _
from portal.messages.rules.sms_segments import FittedText

_KEY = re.compile(r"^[a-z][a-z0-9]*([-_][a-z0-9]+)*$")
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
    """`subject` and `body` are the template's own words, and `variants` those in other languages."""

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
    variants: tuple[TemplateWords, ...] = ()

    @property
    def all_words(self) -> tuple[TemplateWords, ...]:
        return (TemplateWords(OWN_LANGUAGE, self.subject, self.body), *self.variants)


@dataclass(frozen=True)
class TemplatePreview:
    """What a recipient would get, as far as the draft is valid; `sms` is None for email-only templates.

    `body` is Markdown with the values marked. `language` is that of the words. `missing_fields` are the merge fields
    that the words in a language lack and those in another have.
    """

    subject: str
    body: str
    sms: FittedText | None
    data_fields: tuple[str, ...] = ()
    required_fields: tuple[str, ...] = ()
    errors: dict[str, str] = field(default_factory=dict)
    language: str = OWN_LANGUAGE
    missing_fields: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def is_in_own_words(self) -> bool:
        return self.language == OWN_LANGUAGE

    @property
    def subject_error(self) -> str:
        return self.errors.get(word_field("subject", self.language), "")

    @cached_property
    def html(self) -> str:
        return markdown.to_html(self.body)

    @cached_property
    def text(self) -> str:
        return markdown.to_text(self.body)


def create_template(draft: TemplateDraft, author_id: int | None, now_ms: int) -> int:
    """The template's id. Raises `InvalidInput` for the fields of the draft (`word_field` names those of a variant)."""
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


def change_variant(key: str, words: TemplateWords, author_id: int | None, now_ms: int) -> int:
    """The number of the new version, with other words in one language, or without them if they are empty."""
    template = _existing_template(key)
    draft = draft_of(find_template_version(template))
    kept = tuple(row for row in draft.variants if row.language != words.language)
    changed = replace(draft, variants=(*kept, words))
    return save_template(template.id, changed, author_id, now_ms, template.current_version)


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


def preview_template(
    draft: TemplateDraft, account_values: Mapping[str, Any] | None = None, language: str = OWN_LANGUAGE
) -> TemplatePreview:
    """For somebody who has chosen the language. Never raises: invalid fields are listed in `errors` and left out.

    `data.…` has sample values, and so has the account if its values are not given.
    """
    draft = clean_draft(draft)
    errors = _errors(draft)
    known = (words for words in draft.all_words if words.language in LANGUAGES)
    own, *variants = (without_problems(words, errors) for words in known)
    readable = replace(draft, subject=own.subject, body=own.body, variants=tuple(variants))
    words = words_for(readable.all_words, language)
    fields = data_fields(readable)
    values = {**(account_values or sample_values()), "data": merge_fields.sample_data(fields)}
    try:
        preview = render_preview(words, values, draft.sms_enabled)
    except MergeError as error:
        part = word_field(_failed_part(words, values), words.language)
        preview, errors = TemplatePreview(words.subject, "", None, language=words.language), {part: str(error)} | errors
    return replace(
        preview,
        data_fields=fields,
        required_fields=required_fields(readable),
        errors=errors,
        missing_fields={} if errors else missing_fields(draft.all_words, _declared_attributes()),
    )


def _failed_part(words: TemplateWords, values: Mapping[str, Any]) -> str:
    """Which of the two cannot be filled in."""
    try:
        fill_in_subject(words, values)
    except MergeError:
        return "subject"
    return "body"


def unusable_templates() -> dict[str, str]:
    """Template key to problem, for current versions that today's rules would not accept."""
    versions, declared = current_template_versions(), _declared_attributes()
    problems = {row.template.key: merge_problem(_sources(row), declared) for row in versions}
    return {key: problem for key, problem in problems.items() if problem}


def preview_current_version(key: str, language: str = OWN_LANGUAGE) -> TemplatePreview:
    """Raises `ActionRefused` if there is no such template, or no variant in this language."""
    draft = draft_of(find_template_version(_existing_template(key)))
    if language in missing_languages(draft.all_words):
        raise ActionRefused(_("The template has no variant in %(language)s.", language=language_label(language)))
    return preview_template(draft, language=language)


def _existing_template(key: str) -> Template:
    template = find_template(key)
    if template is None:
        raise ActionRefused(_("There is no template with the key “%(key)s”.", key=key))
    return template


def draft_of(version: TemplateVersion) -> TemplateDraft:
    template, hours = version.template, version.sms_expiry_hours
    content = version.subject, version.body, version.urgent, version.sms_enabled
    settings = "" if hours is None else str(hours), ", ".join(template.tags)
    _own, *variants = version.all_words
    return TemplateDraft(template.key, template.name, *content, *settings, template.sensitive, tuple(variants))


def copy_of(template: Template) -> TemplateDraft:
    """The current version as the start of a new template."""
    draft = draft_of(find_template_version(template))
    name = _("Copy of %(name)s", name=draft.name)[: MAX_LENGTHS["name"]]
    return replace(draft, key=f"{draft.key[: MAX_LENGTHS['key'] - 5]}-copy", name=name)


def render_preview(words: TemplateWords, values: Mapping[str, Any], with_text: bool) -> TemplatePreview:
    """Raises `MergeError`."""
    subject, body = fill_in(words, values)
    with_text = with_text and bool(subject)
    fitted = notification_text(subject, sample_link(), organisation_names()) if with_text else None
    return TemplatePreview(subject, body, fitted, language=words.language)


def sample_link() -> str:
    """As long as a real one."""
    return communication_url(_SAMPLE_LINK_KEY)


def sample_values() -> dict[str, str]:
    """Of all merge fields of a sample account."""
    return SAMPLE_VALUES | merge_fields.sample_attributes(_declared_attributes())


def data_fields(version: Worded) -> tuple[str, ...]:
    """The `data.…` names that a send of this version provides; empty if the version is no longer valid."""
    try:
        checked = _checked(version)
    except MergeError:
        return ()
    return tuple(dict.fromkeys(name for part in checked for name in part.data_fields))


def required_fields(version: Worded) -> tuple[str, ...]:
    """The `data.…` names that may not be blank. Raises `MergeError` if the version is no longer valid."""
    return tuple(dict.fromkeys(name for part in _checked(version) for name in part.required_names))


def attribute_fields(version: Worded) -> tuple[str, ...]:
    """The keys of the attributes that it names; empty if the version is no longer valid."""
    try:
        return merge_fields.attribute_names(*_sources(version))
    except MergeError:
        return ()


def required_attributes(version: Worded) -> tuple[str, ...]:
    """Those of them that may not be blank: an account without one of them gets no message in these words."""
    try:
        return merge_fields.required_attributes(*_sources(version))
    except MergeError:
        return ()


def risky_fields(version: Worded) -> RiskyFields:
    """The fields of a person that decide whether it can be filled in, beside the required attributes."""
    try:
        return merge_fields.risky_fields(_declared_attributes(), *_sources(version))
    except MergeError:
        return RiskyFields()


def _sources(version: Worded) -> list[str]:
    return [source for words in version.all_words for source in (words.subject, words.body)]


def _checked(version: Worded) -> list[CheckedTemplate]:
    declared = _declared_attributes()
    return [merge_fields.check_template(source, attributes=declared) for source in _sources(version)]


def _declared_attributes() -> tuple[AttributeDefinition, ...]:
    return tuple(attribute.definition for attribute in all_attributes())


def clean_draft(draft: TemplateDraft) -> TemplateDraft:
    """PostgreSQL rejects null bytes, and browsers send CRLF line ends. A variant without any words is none."""
    variants = (
        TemplateWords(row.language, _clean_subject(row.subject), _clean_body(row.body)) for row in draft.variants
    )
    return replace(
        draft,
        key=text_input.clean_code(draft.key),
        name=text_input.clean_line(draft.name),
        subject=_clean_subject(draft.subject),
        body=_clean_body(draft.body),
        sms_expiry_hours=text_input.clean_code(draft.sms_expiry_hours),
        variants=tuple(sorted(words for words in variants if words.subject or words.body.strip())),
    )


def _clean_subject(subject: str) -> str:
    return " ".join(subject.replace("\x00", "").split())


def _clean_body(body: str) -> str:
    return body.replace("\x00", "").replace("\r\n", "\n")


def _errors(draft: TemplateDraft) -> dict[str, str]:
    problems = {"name": length_problem("name", draft.name), "tags": tags_problem(draft.tags)}
    found = {name: problem for name, problem in problems.items() if problem}
    words = word_problems(draft.all_words, draft.sms_enabled, _declared_attributes())
    return found | words | _expiry_error(draft.sms_expiry_hours)


def _expiry_error(text: str) -> dict[str, str]:
    if not text or (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MAX_EXPIRY_HOURS):
        return {}
    rule = _("Enter a whole number of hours from 1 to %(limit)s, or leave it empty.", limit=_MAX_EXPIRY_HOURS)
    return {"sms_expiry_hours": rule}


def _key_error(key: str) -> dict[str, str]:
    if _KEY.match(key) and len(key) <= MAX_LENGTHS["key"]:
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
        variants=[TemplateVariant(**words._asdict()) for words in draft.variants],
        created_at_ms=now_ms,
        created_by_id=author_id,
    )
