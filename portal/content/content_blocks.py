"""Content blocks: the portal's own words as they are now, and new versions of them."""

import html
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import IntegrityError

from portal.content.message_templates import VersionConflict
from portal.content.rules import content_block_checks, merge_fields
from portal.content.rules.content_block_checks import BLOCK_FIELDS, BLOCKS, ContentBlock, WordingIssue
from portal.content.rules.markdown_literals import unmark_literals
from portal.content.rules.merge_fields import MergeError
from portal.content.tables import content_versions
from portal.content.tables.content_versions import ContentVersion
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules import phone
from portal.core.transaction import transaction
from portal.messages.rules import sms_segments
from portal.messages.rules.sms_lookalikes import CharacterReplacement, transliterate
from portal.messages.rules.sms_segments import SmsSize
from portal.messages.rules.unicode_cost import EncodingCost, encoding_cost
from portal.settings import app_settings
from portal.settings.live_gateway import sender_for

_MAX_LENGTH = {"page": 10_000, "sms": 1_600}
MAX_BLOCK_SEGMENTS = 3
"""A text is paid for by the segment, and its parts may arrive apart: what needs more belongs on a page."""
_JOINER = "\u200d"
_NUMBER_FALLBACKS = {"sending_number": "our number", "phone_number": "your number"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RenderedBlock:
    """A block's words with the fields filled in, as people read them.

    `source` is what a page shows by `to_html`: Markdown in which the values are marked (`content.rules.markdown_literals`).
    `version` 0 is the default that ships, whose words another release may change: evidence keeps the text as well.
    """

    key: str
    version: int
    text: str
    markdown: str = field(default="", compare=False)


@dataclass(frozen=True)
class BlockPreview:
    """What somebody would get, as far as the draft can be read. Pages have neither weight nor costs."""

    text: str = ""
    size: SmsSize | None = None
    costs: EncodingCost | None = None
    wording_issues: tuple[WordingIssue, ...] = ()
    error: str | None = None
    changes: tuple[CharacterReplacement, ...] = ()


def render_block(key: str, phone_number: str = "") -> RenderedBlock:
    """The block in force. Only reads. Words that cannot be filled in any more give way to the default."""
    block, stored = BLOCKS[key], content_versions.current_block_version(key)
    fields = _field_values(phone_number)
    if stored is not None:
        try:
            return _rendered_block(key, stored.number, _fill_in(block, stored.text, fields))
        except MergeError as error:
            _log.error("content_block_render_failed", key=key, version=stored.number, error=str(error))
    return _rendered_block(key, 0, _fill_in(block, block.default, fields))


def _rendered_block(key: str, version: int, source: str) -> RenderedBlock:
    return RenderedBlock(key, version, unmark_literals(source), source)


def preview_block(key: str, text: str) -> BlockPreview:
    """Never raises: what cannot be read is named in `error`."""
    block, text = BLOCKS[key], _clean(text)
    error = _text_problem(block, text)
    try:
        shown = _fill_in(block, text[: _MAX_LENGTH[block.kind]], _field_values(_example_number()))
    except MergeError:
        return BlockPreview(error=error)
    advice = content_block_checks.find_wording_issues(key, shown, settings().organisation)
    if block.kind == "page":
        return BlockPreview(shown, wording_issues=advice, error=error)
    return BlockPreview(
        shown,
        sms_segments.measure_sms(shown),
        encoding_cost(shown),
        advice,
        error,
        _substitutions(text[: _MAX_LENGTH["sms"]]),
    )


def _substitutions(text: str) -> tuple[CharacterReplacement, ...]:
    """What the text says otherwise than it was written, in its words and in what its fields are filled in with."""
    return transliterate(merge_fields.render_text(text, _field_values(_example_number()))).replacements


def save_block(key: str, text: str, author_id: int | None, now_ms: int, base_version: int | None = None) -> int:
    """The number of the version now in force: a new one, unless the words are the same.

    Raises `Invalid` with the field `text`, and `Overtaken` when the version in force is not the one it is based on.
    """
    return _save_version(_find_block(key), text, None, author_id, now_ms, base_version)


def restore_version(key: str, number: int, author_id: int | None, now_ms: int, base_version: int | None = None) -> int:
    """A new version with the words of an older one; 0 is the default. Raises as `save_block` does."""
    block = _find_block(key)
    found = {version.number: version.text for version in content_versions.block_versions(key)}
    text = {0: block.default, **found}.get(number)
    if text is None:
        raise ActionRefused("There is no such version.")
    return _save_version(block, text, number, author_id, now_ms, base_version)


def reset_block(key: str, author_id: int | None, now_ms: int, base_version: int | None = None) -> int:
    """A new version with the words that ship. Raises as `save_block` does."""
    return restore_version(key, 0, author_id, now_ms, base_version)


def _save_version(
    block: ContentBlock,
    text: str,
    restored_from: int | None,
    author_id: int | None,
    now_ms: int,
    base_version: int | None,
) -> int:
    text = _clean(text)
    if problem := _text_problem(block, text):
        raise InvalidInput({"text": problem})
    try:
        with transaction() as session:
            stored = content_versions.current_block_version(block.key)
            number, words = (stored.number, stored.text) if stored else (0, block.default)
            if base_version is not None and base_version != number:
                raise _version_conflict(number)
            if text == words:
                return number
            session.add(_version(block.key, number + 1, text, restored_from, author_id, now_ms))
        return number + 1
    except IntegrityError as error:  # PostgreSQL lets two of us read the same number; one of them is first
        raise _version_conflict(number + 1) from error


def _version(
    key: str, number: int, text: str, restored_from: int | None, author_id: int | None, now_ms: int
) -> ContentVersion:
    return ContentVersion(
        key=key,
        number=number,
        text=text,
        restored_from=restored_from,
        created_at_ms=now_ms,
        created_by_id=author_id,
    )


def _version_conflict(number: int) -> VersionConflict:
    return VersionConflict(f"Version {number:,} was saved meanwhile.")


def _find_block(key: str) -> ContentBlock:
    if key not in BLOCKS:
        raise ActionRefused("There is no such content block.")
    return BLOCKS[key]


def _clean(text: str) -> str:
    """PostgreSQL keeps no null bytes, and browsers send line ends their own way."""
    return text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n").strip("\n ")


def _text_problem(block: ContentBlock, text: str) -> str | None:
    """Why this text cannot be saved. A block that ships empty may be empty."""
    if not text.strip():
        return "Write the words." if block.default else None
    limit = _MAX_LENGTH[block.kind]
    if len(text) > limit:
        return f"Keep it to {limit:,} characters; this has {len(text):,}."
    if odd := _unprintable_character(text, "\n" if block.kind == "sms" else "\n\t"):
        return f"Take out the character {odd}: it cannot be shown."
    if unseen := _invisible_character(html.unescape(text) if block.kind == "page" else text):
        return (
            f"Take out the character {unseen}: characters that nobody sees, and those that turn the direction of "
            "what follows, are not allowed, because they can make words read other than they are."
        )
    try:
        merge_fields.check_template(text, tuple(BLOCK_FIELDS))
        shown = _fill_in(block, text, _field_values(_example_number()))
    except MergeError as error:
        return str(error)
    return _size_problem(shown) if block.kind == "sms" else None


def _unprintable_character(text: str, allowed: str) -> str | None:
    """The first control character or torn surrogate pair, by its number."""
    return _first_code_point(c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in allowed)


def _invisible_character(text: str) -> str | None:
    """The first character of format, by its number, but for the one that joins emoji and letters of some scripts."""
    return _first_code_point(c for c in text if unicodedata.category(c) == "Cf" and c != _JOINER)


def _first_code_point(characters: Iterable[str]) -> str | None:
    return next((f"U+{ord(character):04X}" for character in characters), None)


def _size_problem(shown: str) -> str | None:
    segments = sms_segments.measure_sms(shown).segments
    if segments <= MAX_BLOCK_SEGMENTS:
        return None
    return f"Make it shorter: a text may take {MAX_BLOCK_SEGMENTS} segments, and this takes {segments:,}."


def _fill_in(block: ContentBlock, text: str, fields: Mapping[str, str]) -> str:
    """As it leaves: a text has its look-alikes made plain. Raises `MergeError`, also if nothing is left to send."""
    if block.kind == "page":
        return merge_fields.render_body(text, fields)
    shown = transliterate(merge_fields.render_text(text, fields)).text.strip()
    if not shown:
        raise MergeError("with its fields filled in, nothing is left to send.")
    return shown


def _field_values(phone_number: str) -> dict[str, str]:
    found, sender = settings(), app_settings.resolve_current_gateway().sender
    numbers = {"sending_number": sender_for(phone_number, sender), "phone_number": phone_number}
    shown = {
        name: phone.format_phone(number, found.region) or _NUMBER_FALLBACKS[name] for name, number in numbers.items()
    }
    return {"organisation": found.organisation, "portal_url": found.public_url, **shown}


def _example_number() -> str:
    return phone.to_e164(phone.example_phone(settings().region), settings().region)
