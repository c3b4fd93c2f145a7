"""Content blocks: the portal's own words as they are now, and new versions of them."""

import html
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import IntegrityError

from portal.actions import settings as app_settings
from portal.actions.errors import Invalid, Refused
from portal.actions.templates import Overtaken
from portal.actions.transaction import transaction
from portal.actions.twilio_api import number_for
from portal.context import settings
from portal.domain import merge, phone, sms, wording
from portal.domain.costly import Costs, costs_of
from portal.domain.literals import bare
from portal.domain.merge import MergeError
from portal.domain.sms import Weight
from portal.domain.sms_plain import Change, lighten
from portal.domain.wording import BLOCKS, FIELDS, Advice, Block
from portal.models import content
from portal.models.content import ContentVersion

_LONGEST = {"page": 10_000, "sms": 1_600}
MOST_SEGMENTS = 3
"""A text is paid for by the segment, and its parts may arrive apart: what needs more belongs on a page."""
_JOINER = "\u200d"
_NO_NUMBER = {"sending_number": "our number", "phone_number": "your number"}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wording:
    """A block's words with the fields filled in, as people read them.

    `source` is what a page shows by `to_html`: Markdown in which the values are marked (`domain.literals`).
    `version` 0 is the default that ships, whose words another release may change: evidence keeps the text as well.
    """

    key: str
    version: int
    text: str
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class Preview:
    """What somebody would get, as far as the draft can be read. Pages have neither weight nor costs."""

    text: str = ""
    weight: Weight | None = None
    costs: Costs | None = None
    advice: tuple[Advice, ...] = ()
    error: str | None = None
    changes: tuple[Change, ...] = ()


def words_of(key: str, phone_number: str = "") -> Wording:
    """The block in force. Only reads. Words that cannot be filled in any more give way to the default."""
    block, stored = BLOCKS[key], content.current(key)
    fields = _fields(phone_number)
    if stored is not None:
        try:
            return _wording(key, stored.number, _fill_in(block, stored.text, fields))
        except MergeError as error:
            _log.error("a content block cannot be shown", key=key, version=stored.number, why=str(error))
    return _wording(key, 0, _fill_in(block, block.default, fields))


def _wording(key: str, version: int, source: str) -> Wording:
    return Wording(key, version, bare(source), source)


def preview(key: str, text: str) -> Preview:
    """Never raises: what cannot be read is named in `error`."""
    block, text = BLOCKS[key], _clean(text)
    error = _problem(block, text)
    try:
        shown = _fill_in(block, text[: _LONGEST[block.kind]], _fields(_sample_number()))
    except MergeError:
        return Preview(error=error)
    advice = wording.missing(key, shown, settings().organisation)
    if block.kind == "page":
        return Preview(shown, advice=advice, error=error)
    return Preview(shown, sms.weigh(shown), costs_of(shown), advice, error, _changes(text[: _LONGEST["sms"]]))


def _changes(text: str) -> tuple[Change, ...]:
    """What the text says otherwise than it was written, in its words and in what its fields are filled in with."""
    return lighten(merge.render_text(text, _fields(_sample_number()))).changes


def save_block(key: str, text: str, author_id: int | None, now_ms: int, based_on: int | None = None) -> int:
    """The number of the version now in force: a new one, unless the words are the same.

    Raises `Invalid` with the field `text`, and `Overtaken` when the version in force is not the one it is based on.
    """
    return _save(_block(key), text, None, author_id, now_ms, based_on)


def restore(key: str, number: int, author_id: int | None, now_ms: int, based_on: int | None = None) -> int:
    """A new version with the words of an older one; 0 is the default. Raises as `save_block` does."""
    block = _block(key)
    found = {version.number: version.text for version in content.versions_of(key)}
    text = {0: block.default, **found}.get(number)
    if text is None:
        raise Refused("There is no such version.")
    return _save(block, text, number, author_id, now_ms, based_on)


def reset(key: str, author_id: int | None, now_ms: int, based_on: int | None = None) -> int:
    """A new version with the words that ship. Raises as `save_block` does."""
    return restore(key, 0, author_id, now_ms, based_on)


def _save(
    block: Block, text: str, restored_from: int | None, author_id: int | None, now_ms: int, based_on: int | None
) -> int:
    text = _clean(text)
    if problem := _problem(block, text):
        raise Invalid({"text": problem})
    try:
        with transaction() as session:
            stored = content.current(block.key)
            number, words = (stored.number, stored.text) if stored else (0, block.default)
            if based_on is not None and based_on != number:
                raise _overtaken(number)
            if text == words:
                return number
            session.add(_version(block.key, number + 1, text, restored_from, author_id, now_ms))
        return number + 1
    except IntegrityError as error:  # PostgreSQL lets two of us read the same number; one of them is first
        raise _overtaken(number + 1) from error


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


def _overtaken(number: int) -> Overtaken:
    return Overtaken(f"Version {number:,} was saved meanwhile.")


def _block(key: str) -> Block:
    if key not in BLOCKS:
        raise Refused("There is no such content block.")
    return BLOCKS[key]


def _clean(text: str) -> str:
    """PostgreSQL keeps no null bytes, and browsers send line ends their own way."""
    return text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n").strip("\n ")


def _problem(block: Block, text: str) -> str | None:
    """Why this text cannot be saved. A block that ships empty may be empty."""
    if not text.strip():
        return "Write the words." if block.default else None
    limit = _LONGEST[block.kind]
    if len(text) > limit:
        return f"Keep it to {limit:,} characters; this has {len(text):,}."
    if odd := _odd_character(text, "\n" if block.kind == "sms" else "\n\t"):
        return f"Take out the character {odd}: it cannot be shown."
    if unseen := _unseen_character(html.unescape(text) if block.kind == "page" else text):
        return (
            f"Take out the character {unseen}: characters that nobody sees, and those that turn the direction of "
            "what follows, are not allowed, because they can make words read other than they are."
        )
    try:
        merge.check(text, tuple(FIELDS))
        shown = _fill_in(block, text, _fields(_sample_number()))
    except MergeError as error:
        return str(error)
    return _weight_problem(shown) if block.kind == "sms" else None


def _odd_character(text: str, allowed: str) -> str | None:
    """The first control character or torn surrogate pair, by its number."""
    return _first(c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in allowed)


def _unseen_character(text: str) -> str | None:
    """The first character of format, by its number, but for the one that joins emoji and letters of some scripts."""
    return _first(c for c in text if unicodedata.category(c) == "Cf" and c != _JOINER)


def _first(characters: Iterable[str]) -> str | None:
    return next((f"U+{ord(character):04X}" for character in characters), None)


def _weight_problem(shown: str) -> str | None:
    segments = sms.weigh(shown).segments
    if segments <= MOST_SEGMENTS:
        return None
    return f"Make it shorter: a text may take {MOST_SEGMENTS} segments, and this takes {segments:,}."


def _fill_in(block: Block, text: str, fields: Mapping[str, str]) -> str:
    """As it leaves: a text has its look-alikes made plain. Raises `MergeError`, also if nothing is left to send."""
    if block.kind == "page":
        return merge.render_body(text, fields)
    shown = lighten(merge.render_text(text, fields)).text.strip()
    if not shown:
        raise MergeError("with its fields filled in, nothing is left to send.")
    return shown


def _fields(phone_number: str) -> dict[str, str]:
    found, sender = settings(), app_settings.gateway().sender
    numbers = {"sending_number": number_for(phone_number, sender), "phone_number": phone_number}
    shown = {name: phone.friendly(number, found.region) or _NO_NUMBER[name] for name, number in numbers.items()}
    return {"organisation": found.organisation, "portal_url": found.public_url, **shown}


def _sample_number() -> str:
    return phone.to_e164(phone.example(settings().region), settings().region)
