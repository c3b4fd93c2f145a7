"""Content blocks: render the portal's own texts and save new versions of them."""

import hashlib
import html
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import IntegrityError

from portal.content.message_templates import VersionConflict, version_change
from portal.content.rules import content_block_checks, merge_fields
from portal.content.rules.content_block_checks import (
    BLOCK_FIELDS,
    BLOCKS,
    UNKNOWN_VALUES,
    ContentBlock,
    localizations,
    localized_block,
)
from portal.content.rules.markdown_literals import unmark_literals
from portal.content.rules.merge_fields import MergeError
from portal.content.rules.wording_points import WordingIssue
from portal.content.tables import content_versions
from portal.content.tables.content_versions import ContentVersion
from portal.content.text_content import link_problem, named_text
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.organisation import current_organisation
from portal.core.rules import phone
from portal.core.transaction import transaction
from portal.core.translation import ENGLISH
from portal.core.translation import gettext as _
from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import CharacterReplacement, transliterate
from portal.messages.rules.sms_segments import SmsSize
from portal.messages.rules.unicode_cost import EncodingCost, encoding_cost
from portal.settings import app_settings
from portal.settings.live_gateway import sender_for

_MAX_LENGTH = {"page": 10_000, "sms": 1_600}
MAX_BLOCK_SEGMENTS = 3
"""Texts are billed by the segment and their parts may arrive separately: longer content belongs on a page."""
_JOINER = "\u200d"
"""Emoji and some scripts need it."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RenderedBlock:
    """A block with its fields filled in. The key names the language too (`ContentBlock`).

    `text` is for people; `markdown` is for `markdown.to_html`, with marked values (`content.rules.markdown_literals`).
    Version 0 is the shipped default, which a release may change, so consent evidence stores the text as well.
    """

    key: str
    version: int
    text: str
    markdown: str = field(default="", compare=False)

    @property
    def fingerprint(self) -> str:
        """Identifies the version and its words, which also change with the values of the fields."""
        return f"{self.version}-{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class BlockPreview:
    """What a recipient would see, as far as the draft is valid. `size` and `costs` are None for a page.

    `changes` are the characters that the sent text replaces, in the draft and in its field values.
    """

    text: str = ""
    size: SmsSize | None = None
    costs: EncodingCost | None = None
    wording_issues: tuple[WordingIssue, ...] = ()
    error: str | None = None
    changes: tuple[CharacterReplacement, ...] = ()


def render_block(key: str, phone_number: str = "", language: str = "") -> RenderedBlock:
    """The current version, or the default if that version can no longer be rendered. Writes nothing.

    Without a language, `key` names it. A block that ships empty is in English until it is written.
    """
    block = localized_block(key, language) if language else BLOCKS[key]
    versions = content_versions.current_block_versions()
    if block.key not in versions and not block.default:
        block = BLOCKS[block.base_key]
    stored, fields = versions.get(block.key), _field_values(phone_number, block.language)
    if stored is not None:
        try:
            return _rendered_block(block.key, stored.number, _fill_in(block, stored.text, fields))
        except MergeError as error:
            _log.error("content block not rendered", key=block.key, version=stored.number, error=str(error))
    return _rendered_block(block.key, 0, _fill_in(block, block.default, fields))


def _rendered_block(key: str, version: int, source: str) -> RenderedBlock:
    return RenderedBlock(key, version, unmark_literals(source), source)


def preview_block(key: str, text: str) -> BlockPreview:
    """Never raises: `error` says what is wrong with the draft."""
    block, text = BLOCKS[key], _clean(text)
    values = _example_values(block)
    error = _text_problem(block, text)
    shortened = text[: _MAX_LENGTH[block.kind]]
    try:
        rendered = _fill_in(block, shortened, values)
    except MergeError:
        return BlockPreview(error=error)
    issues = content_block_checks.find_wording_issues(key, rendered, current_organisation().name)
    if block.kind == "page":
        return BlockPreview(rendered, wording_issues=issues, error=error)
    changes = transliterate(merge_fields.render_text(shortened, values)).replacements
    size, costs = sms_segments.measure_sms(rendered), encoding_cost(rendered)
    return BlockPreview(rendered, size, costs, issues, error, changes)


def outdated_localizations(key: str, stored: Mapping[str, ContentVersion]) -> list[ContentBlock]:
    """The block in the languages that still have its shipped wording, although another one was changed.

    Where a block ships empty, English has nothing to follow.
    """
    blocks = localizations(key)
    shipped = [block for block in blocks if block.key not in stored or stored[block.key].text == block.default]
    follows = [block for block in shipped if block.default or block.language != ENGLISH.code]
    return follows if len(shipped) < len(blocks) else []


def current_wording_issues(key: str) -> tuple[WordingIssue, ...]:
    """What the wording in use lacks."""
    rendered = render_block(key)
    return content_block_checks.find_wording_issues(key, rendered.markdown, current_organisation().name)


def save_block(
    key: str,
    text: str,
    author_id: int | None,
    now_ms: int,
    base_version: int | None = None,
    restored_from: int | None = None,
) -> int:
    """The number of the current version: a new one, unless the text has not changed.

    `restored_from` is the version that the text comes from; 0 is the default. Raises `InvalidInput` for the field
    `text`, and `VersionConflict` if `base_version` is no longer current.
    """
    block, text = BLOCKS[key], _clean(text)
    if problem := _text_problem(block, text):
        raise InvalidInput({"text": problem})
    try:
        with transaction() as session:
            stored = content_versions.current_block_versions().get(key)
            number, current_text = (stored.number, stored.text) if stored else (0, block.default)
            if base_version is not None and base_version != number:
                raise VersionConflict(number)
            if text == current_text:
                return number
            version = ContentVersion(key=key, number=number + 1, text=text, restored_from=restored_from)
            version.created_at_ms, version.created_by_id = now_ms, author_id
            session.add(version)
            action, detail = version_change("content_block", number + 1, restored_from)
            record_audit_entry(action, key, author_id, now_ms, **detail)
        return number + 1
    except IntegrityError as error:  # on PostgreSQL two writers can read the same version number
        raise VersionConflict(number + 1) from error


def _clean(text: str) -> str:
    """PostgreSQL rejects null bytes, and browsers send CRLF line ends."""
    return text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n").strip("\n ")


def _text_problem(block: ContentBlock, text: str) -> str | None:
    """Why this text cannot be saved. Only a block that ships empty may be empty."""
    if not text.strip():
        return _("Enter the text.") if block.default else None
    limit = _MAX_LENGTH[block.kind]
    if len(text) > limit:
        return _("Use %(limit)s characters or fewer. You have used %(length)s.", limit=limit, length=len(text))
    if code_point := _first_code_point(text, ("Cc", "Cs"), "\n" if block.kind == "sms" else "\n\t"):
        return _("Remove the character %(code_point)s: it cannot be displayed.", code_point=code_point)
    if code_point := _first_code_point(html.unescape(text) if block.kind == "page" else text, ("Cf",), _JOINER):
        return _(
            "Remove the character %(code_point)s: invisible characters and those that change the reading direction are "
            "not allowed, because they can disguise what the text says.",
            code_point=code_point,
        )
    try:
        merge_fields.check_template(text, tuple(BLOCK_FIELDS))
        rendered = _fill_in(block, text, _example_values(block))
    except MergeError as error:
        return str(error)
    return link_problem(rendered) or _size_problem(rendered) if block.kind == "sms" else None


def _first_code_point(text: str, categories: Collection[str], allowed: str) -> str | None:
    """The code point of the first character in one of the Unicode categories that is not allowed."""
    characters = (c for c in text if unicodedata.category(c) in categories and c not in allowed)
    return next((f"U+{ord(character):04X}" for character in characters), None)


def _size_problem(text: str) -> str | None:
    segments = sms_segments.measure_sms(text).segments
    if segments <= MAX_BLOCK_SEGMENTS:
        return None
    return _(
        "Shorten the text: it may use %(limit)s segments at most, and this uses %(segments)s.",
        limit=MAX_BLOCK_SEGMENTS,
        segments=segments,
    )


def _fill_in(block: ContentBlock, text: str, fields: Mapping[str, str]) -> str:
    """The block as it is sent: a text in GSM-7, with our name. Raises `MergeError`, also for an empty text."""
    if block.kind == "page":
        return merge_fields.render_body(text, fields)
    rendered = transliterate(merge_fields.render_text(text, fields)).text.strip()
    if not rendered:
        raise MergeError(_("the text is empty once its fields are filled in."))
    return named_text(rendered)


def _field_values(phone_number: str, language: str) -> dict[str, str]:
    sender, unknown = app_settings.resolve_current_gateway().sender, UNKNOWN_VALUES[language]
    numbers = {"sending_number": sender_for(phone_number, sender), "phone_number": phone_number}
    known = {name: phone.format_phone(number, settings().region) for name, number in numbers.items()}
    known["support_contact"] = app_settings.business().support_contact
    return {
        "organisation": current_organisation().name,
        "portal_url": settings().public_url,
        **{name: value or unknown[name] for name, value in known.items()},
    }


def _example_values(block: ContentBlock) -> dict[str, str]:
    region = settings().region
    return _field_values(phone.to_e164(phone.example_phone(region), region), block.language)
