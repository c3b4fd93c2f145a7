"""Templates: create, edit as a new version, preview."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from portal.content.links import communication_url
from portal.content.rules import markdown, merge_fields
from portal.content.rules.merge_fields import MergeError
from portal.content.tables.templates import (
    Template,
    TemplateVersion,
    current_template_versions,
    find_template,
    find_template_version,
)
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules import text_input
from portal.core.transaction import transaction
from portal.messages.rules import sms_segments
from portal.messages.rules.sms_segments import FittedText

_KEY = re.compile(r"^[a-z][a-z0-9]*([-_][a-z0-9]+)*$")
_LIMITS = {"key": 60, "name": 120, "subject": 250, "body": 50_000}
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


@dataclass(frozen=True)
class TemplatePreview:
    """What a recipient would get, as far as the draft is valid; `sms` is None for email-only templates."""

    subject: str
    html: str
    text: str
    sms: FittedText | None
    data_fields: tuple[str, ...]
    required_fields: tuple[str, ...]
    errors: dict[str, str]


def create_template(draft: TemplateDraft, author_id: int | None, now_ms: int) -> int:
    """The template's id. Raises `InvalidInput` for `key`, `name`, `subject`, `body` or `sms_expiry_hours`."""
    draft = _clean_draft(draft)
    _raise_if_invalid({**_key_error(draft.key), **_errors(draft)})
    try:
        with transaction() as session:
            template = Template(key=draft.key, name=draft.name, current_version=1, created_at_ms=now_ms)
            session.add(template)
            session.flush()
            session.add(_version(template.id, 1, draft, author_id, now_ms))
            return template.id
    except IntegrityError as error:
        raise InvalidInput(
            {"key": f"Another template already uses the key “{draft.key}”. Choose a different key."}
        ) from error


class VersionConflict(ActionRefused):
    """Somebody else saved a version after this edit began."""


def save_template(
    template_id: int, draft: TemplateDraft, author_id: int | None, now_ms: int, base_version: int | None = None
) -> int:
    """The number of the new version. The key never changes, because scripts refer to it.

    Raises `InvalidInput`, and `VersionConflict` if `base_version` is no longer current.
    """
    draft = _clean_draft(draft)
    _raise_if_invalid(_errors(draft))
    with transaction() as session:
        template = session.get(Template, template_id, with_for_update=True)
        if template is None:
            raise ActionRefused("This template does not exist.")
        if base_version is not None and base_version != template.current_version:
            raise VersionConflict(f"Somebody saved version {template.current_version:,} in the meantime.")
        template.name = draft.name
        template.current_version += 1
        session.add(_version(template.id, template.current_version, draft, author_id, now_ms))
        return template.current_version


def preview_template(draft: TemplateDraft) -> TemplatePreview:
    """Never raises: invalid fields are listed in `errors` and left out of the preview."""
    draft = _clean_draft(draft)
    errors = _errors(draft)
    readable = replace(
        draft,
        subject="" if "subject" in errors else draft.subject,
        body="" if "body" in errors else draft.body,
    )
    fields = data_fields(readable)
    values = {**SAMPLE_VALUES, "data": merge_fields.sample_data(fields)}
    try:
        preview = render_preview(readable.subject, readable.body, values, draft.sms_enabled)
    except MergeError as error:
        preview, errors = TemplatePreview(readable.subject, "", "", None, (), (), {}), {"body": str(error)} | errors
    return replace(preview, data_fields=fields, required_fields=required_fields(readable), errors=errors)


def unusable_templates() -> dict[str, str]:
    """Template key to problem, for current versions that today's rules would not accept."""
    problems = {version.template.key: _template_problem(version) for version in current_template_versions()}
    return {key: problem for key, problem in problems.items() if problem}


def _template_problem(version: TemplateVersion) -> str | None:
    return _merge_problem(version.subject) or _merge_problem(version.body)


def preview_current_version(key: str) -> TemplatePreview:
    """Raises `ActionRefused` if there is no such template."""
    template = find_template(key)
    if template is None:
        raise ActionRefused(f"There is no template with the key “{key}”.")
    version = find_template_version(template)
    return preview_template(
        TemplateDraft(key, template.name, version.subject, version.body, version.urgent, version.sms_enabled)
    )


def render_preview(subject: str, body: str, values: Mapping[str, Any], with_text: bool) -> TemplatePreview:
    """Raises `MergeError`."""
    subject = merge_fields.render_subject(subject, values, reject_blanks=True)
    body = merge_fields.render_body(body, values, reject_blanks=True)
    fitted = (
        sms_segments.fit_one_segment(subject, communication_url(_SAMPLE_LINK_KEY)) if with_text and subject else None
    )
    return TemplatePreview(subject, markdown.to_html(body), markdown.to_text(body), fitted, (), (), {})


def data_fields(version: TemplateVersion | TemplateDraft) -> tuple[str, ...]:
    """The `data.…` names that a send of this version provides; empty if the version is no longer valid."""
    try:
        names = (
            *merge_fields.check_template(version.subject).data_fields,
            *merge_fields.check_template(version.body).data_fields,
        )
    except MergeError:
        return ()
    return tuple(dict.fromkeys(names))


def required_fields(version: TemplateVersion | TemplateDraft) -> tuple[str, ...]:
    """The `data.…` names that may not be blank. Raises `MergeError` if the version is no longer valid."""
    names = (
        *merge_fields.check_template(version.subject).required_names,
        *merge_fields.check_template(version.body).required_names,
    )
    return tuple(dict.fromkeys(names))


def _clean_draft(draft: TemplateDraft) -> TemplateDraft:
    """PostgreSQL rejects null bytes, and browsers send CRLF line ends."""
    return TemplateDraft(
        key=text_input.clean_code(draft.key),
        name=text_input.clean_line(draft.name),
        subject=" ".join(draft.subject.replace("\x00", "").split()),
        body=draft.body.replace("\x00", "").replace("\r\n", "\n"),
        urgent=draft.urgent,
        sms_enabled=draft.sms_enabled,
        sms_expiry_hours=text_input.clean_code(draft.sms_expiry_hours),
    )


def _errors(draft: TemplateDraft) -> dict[str, str]:
    errors: dict[str, str] = {}
    for field in ("name", "subject", "body"):
        problem = _length_problem(field, getattr(draft, field)) or (
            None if field == "name" else _merge_problem(getattr(draft, field))
        )
        if problem:
            errors[field] = problem
    return errors | _expiry_error(draft.sms_expiry_hours)


def _expiry_error(text: str) -> dict[str, str]:
    if not text or (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= _MAX_EXPIRY_HOURS):
        return {}
    return {"sms_expiry_hours": f"Enter a whole number of hours from 1 to {_MAX_EXPIRY_HOURS}, or leave it empty."}


def _length_problem(field: str, text: str) -> str | None:
    if not text.strip():
        return f"Enter a {field}."
    limit = _LIMITS[field]
    return (
        f"Use {limit:,} characters or fewer for the {field}. You have used {len(text):,}."
        if len(text) > limit
        else None
    )


def _merge_problem(source: str) -> str | None:
    try:
        merge_fields.check_template(source)
    except MergeError as error:
        return str(error)
    if markdown.max_cell_count(source) > markdown.MAX_TABLE_CELLS:
        return f"Make the tables smaller: together they may have {markdown.MAX_TABLE_CELLS:,} cells at most."
    return None


def _key_error(key: str) -> dict[str, str]:
    if _KEY.match(key) and len(key) <= _LIMITS["key"]:
        return {}
    return {
        "key": "Use lower-case letters, digits and single hyphens, and start with a letter, such as renewal-due-60."
    }


def _raise_if_invalid(errors: dict[str, str]) -> None:
    if errors:
        raise InvalidInput(errors)


def _version(
    template_id: int, number: int, draft: TemplateDraft, author_id: int | None, now_ms: int
) -> TemplateVersion:
    return TemplateVersion(
        template_id=template_id,
        number=number,
        subject=draft.subject,
        body=draft.body,
        urgent=draft.urgent,
        sms_enabled=draft.sms_enabled,
        sms_expiry_hours=int(draft.sms_expiry_hours) if draft.sms_expiry_hours else None,
        created_at_ms=now_ms,
        created_by_id=author_id,
    )
