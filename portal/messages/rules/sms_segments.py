"""Measure a text (GSM-7 or UCS-2, segments), and fit subject and link into one segment.

Carriers count septets or UTF-16 units, not characters (3GPP TS 23.038; docs/twilio.md#segments).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from portal.messages.rules import sms_lookalikes
from portal.messages.rules.sms_lookalikes import GSM7_BASIC, GSM7_EXTENSION, CharacterReplacement, transliterate

_SINGLE_SEGMENT_UNITS = {"GSM-7": 160, "UCS-2": 70}
_MULTIPART_SEGMENT_UNITS = {"GSM-7": 153, "UCS-2": 67}


_Replacements = tuple[CharacterReplacement, ...]


@dataclass(frozen=True)
class SmsSize:
    """`units` are septets in GSM-7 and UTF-16 code units in UCS-2; `ucs2_characters` are those that force UCS-2."""

    encoding: str
    units: int
    segments: int
    ucs2_characters: tuple[str, ...]

    @property
    def remaining_units(self) -> int:
        """Units left in the last segment."""
        if self.segments <= 1:
            return _SINGLE_SEGMENT_UNITS[self.encoding] - self.units
        return _MULTIPART_SEGMENT_UNITS[self.encoding] * self.segments - self.units


@dataclass(frozen=True)
class FittedText:
    """A text as it is sent. `is_shortened`: the subject was cut; `removed_emoji` made room for its words.

    `removed_links` are those to other hosts.
    """

    text: str
    is_shortened: bool
    size: SmsSize
    replacements: tuple[CharacterReplacement, ...] = ()
    removed_emoji: tuple[str, ...] = ()
    removed_links: tuple[str, ...] = ()


def measure_sms(text: str) -> SmsSize:
    characters = frozenset(text)
    if characters <= GSM7_BASIC:  # the fast path for nearly all texts: there may be 100,000 of them
        return SmsSize("GSM-7", len(text), _segments(text, len(text), "GSM-7"), ())
    ucs2_characters = tuple(dict.fromkeys(c for c in text if c not in GSM7_BASIC and c not in GSM7_EXTENSION))
    encoding = "UCS-2" if ucs2_characters else "GSM-7"
    units = sum(_units(character, encoding) for character in text)
    return SmsSize(encoding, units, _segments(text, units, encoding), ucs2_characters)


def single_segment_excess(size: SmsSize) -> int:
    """By how many units the text is too long for one segment; 0 if it fits."""
    return max(0, size.units - _SINGLE_SEGMENT_UNITS[size.encoding])


def normalize_text(text: str) -> str:
    """Replace look-alikes as Twilio’s smart encoding does, and collapse each run of white space to one space."""
    return " ".join(transliterate(text).text.split())


def fit_one_segment(subject: str, link: str) -> FittedText:
    """Replace look-alikes, and cut the subject at a word, never the link.

    Emoji, and then accents that GSM-7 lacks, are removed before words are cut: a single one of them reduces the limit
    from 160 to 70 characters.
    """
    plain = transliterate(subject)
    too_long = []
    for words, removed, replaced in _plainer_words(" ".join(plain.text.split()), plain.replacements):
        text = f"{words} {link}".strip()
        if (size := measure_sms(text)).segments <= 1:
            return FittedText(text, False, size, replaced, removed)
        too_long.append((words, removed, replaced))
    shortened = [(_shorten(words, link), removed, replaced) for words, removed, replaced in too_long]
    text, removed, replaced = max(shortened, key=lambda candidate: sum(map(str.isalnum, candidate[0])))
    return FittedText(text, True, measure_sms(text), replaced, removed)


def _plainer_words(words: str, replaced: _Replacements) -> Iterator[tuple[str, tuple[str, ...], _Replacements]]:
    """The words, those without emoji, and those without accents either, if there is anything to remove and to keep.

    With the removed emoji, and all replacements.
    """
    yield words, (), replaced
    without_emoji, emoji = sms_lookalikes.strip_emoji(words)
    if emoji and without_emoji:
        yield without_emoji, emoji, replaced
    bare = sms_lookalikes.strip_accents(without_emoji)
    if bare.replacements and not measure_sms(bare.text).ucs2_characters:
        yield bare.text, emoji, (*replaced, *bare.replacements)


def _shorten(subject: str, link: str) -> str:
    for end in reversed(_cut_positions(subject)):
        text = f"{_cut(subject, end)}... {link}"
        if measure_sms(text).segments <= 1:
            return text
    return link


def _cut_positions(subject: str) -> list[int]:
    """Return the ends of the grapheme clusters, within the limit of one segment."""
    limit = _SINGLE_SEGMENT_UNITS["GSM-7"]
    ends = accumulate(map(len, sms_lookalikes.grapheme_clusters(subject[:limit])))
    return [end for end in ends if end < min(len(subject), limit)]


def _cut(subject: str, end: int) -> str:
    """Return the first `end` characters, cut back to a whole word if that removes at most a third of them."""
    start = subject[:end].rstrip()
    whole_words = start if subject[end : end + 1] in ("", " ") else start.rpartition(" ")[0]
    return (whole_words if len(whole_words) * 3 >= len(start) * 2 else start).rstrip(" ,;:-")


def _units(character: str, encoding: str) -> int:
    if encoding == "GSM-7":
        return 2 if character in GSM7_EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1


def _segments(text: str, units: int, encoding: str) -> int:
    """Count the parts as a handset splits them: an escape or surrogate pair is never split."""
    if units <= _SINGLE_SEGMENT_UNITS[encoding]:
        return 1 if text else 0
    parts, used = 1, 0
    for character in text:
        size = _units(character, encoding)
        if used + size > _MULTIPART_SEGMENT_UNITS[encoding]:
            parts, used = parts + 1, 0
        used += size
    return parts
