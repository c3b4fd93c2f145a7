"""What a text weighs: GSM-7 and UCS-2, segments, and fitting subject and link into one segment.

Carriers count septets or UTF-16 units, not characters (3GPP TS 23.038; docs/twilio.md#segments).
"""

from dataclasses import dataclass

from portal.messages.rules.sms_lookalikes import (
    GSM7_BASIC,
    GSM7_EXTENSION,
    CharacterReplacement,
    grapheme_clusters,
    strip_emoji,
    transliterate,
)

_SINGLE_SEGMENT_UNITS = {"GSM-7": 160, "UCS-2": 70}
_MULTIPART_SEGMENT_UNITS = {"GSM-7": 153, "UCS-2": 67}


@dataclass(frozen=True)
class SmsSize:
    """`units` are septets in GSM-7 and UTF-16 code units in UCS-2; `costly` are the characters that force UCS-2."""

    encoding: str
    units: int
    segments: int
    ucs2_characters: tuple[str, ...]

    @property
    def remaining_units(self) -> int:
        """Units left in the last segment."""
        limit = (
            _SINGLE_SEGMENT_UNITS[self.encoding]
            if self.segments <= 1
            else _MULTIPART_SEGMENT_UNITS[self.encoding] * self.segments
        )
        return limit - self.units


@dataclass(frozen=True)
class FittedText:
    """A text as it leaves: `shortened` says that the subject lost its end, `removed_emoji` are emoji that gave way to words.

    `changes` are the look-alikes it has instead of what the subject says.
    """

    text: str
    is_shortened: bool
    size: SmsSize
    replacements: tuple[CharacterReplacement, ...] = ()
    removed_emoji: tuple[str, ...] = ()


def measure_sms(text: str) -> SmsSize:
    used = frozenset(text)
    if used <= GSM7_BASIC:  # by far the most texts, and there may be 100,000 of them
        return SmsSize("GSM-7", len(text), _segments(text, len(text), "GSM-7"), ())
    costly = tuple(dict.fromkeys(c for c in text if c not in GSM7_BASIC and c not in GSM7_EXTENSION))
    encoding = "UCS-2" if costly else "GSM-7"
    units = sum(_units(character, encoding) for character in text)
    return SmsSize(encoding, units, _segments(text, units, encoding), costly)


def normalize_text(text: str) -> str:
    """Look-alikes made plain, as smart encoding does on the way, and each run of white space one blank."""
    return " ".join(transliterate(text).text.split())


def fit_one_segment(subject: str, link: str) -> FittedText:
    """Subject and link in one segment: look-alikes are made plain, the subject is cut at a word, the link never.

    Emoji are left out before words are lost: one of them makes room for 70 characters of what was room for 160.
    """
    light = transliterate(subject)
    words = " ".join(light.text.split())
    if (whole := _fit_unshortened(words, link)) is not None:
        return FittedText(whole.text, False, whole.size, light.replacements)
    bare, pictures = strip_emoji(words)
    if bare and (whole := _fit_unshortened(bare, link)) is not None:
        return FittedText(whole.text, False, whole.size, light.replacements, pictures)
    cut, cut_bare = _shorten(words, link), _shorten(bare, link)
    is_bare = _count_alphanumeric(cut_bare) > _count_alphanumeric(cut)
    text = cut_bare if is_bare else cut
    return FittedText(text, True, measure_sms(text), light.replacements, pictures if is_bare else ())


def _fit_unshortened(words: str, link: str) -> FittedText | None:
    text = f"{words} {link}".strip()
    weight = measure_sms(text)
    return FittedText(text, False, weight) if weight.segments <= 1 else None


def _count_alphanumeric(text: str) -> int:
    return sum(map(str.isalnum, text))


def _shorten(subject: str, link: str) -> str:
    for end in reversed(_cut_positions(subject)):
        text = f"{_cut(subject, end)}... {link}"
        if measure_sms(text).segments <= 1:
            return text
    return link


def _cut_positions(subject: str) -> list[int]:
    """Where it may be cut: never inside what is read as one character, nor further than one segment holds."""
    ends, end = [], 0
    for cluster in grapheme_clusters(subject[: _SINGLE_SEGMENT_UNITS["GSM-7"]]):
        end += len(cluster)
        ends.append(end)
    return [end for end in ends if end < min(len(subject), _SINGLE_SEGMENT_UNITS["GSM-7"])]


def _cut(subject: str, end: int) -> str:
    """The first `end` characters, back to the last whole word where that costs no more than a third of them."""
    head = subject[:end].rstrip()
    at_word = head if subject[end : end + 1] in ("", " ") else head.rpartition(" ")[0]
    return (at_word if len(at_word) * 3 >= len(head) * 2 else head).rstrip(" ,;:-")


def _units(character: str, encoding: str) -> int:
    if encoding == "GSM-7":
        return 2 if character in GSM7_EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1


def _segments(text: str, units: int, encoding: str) -> int:
    if units <= _SINGLE_SEGMENT_UNITS[encoding]:
        return 1 if text else 0
    return _parts(text, encoding)


def _parts(text: str, encoding: str) -> int:
    """Count the parts as a handset splits them: an escaped or surrogate pair is never torn apart."""
    parts, used = 1, 0
    for character in text:
        size = _units(character, encoding)
        if used + size > _MULTIPART_SEGMENT_UNITS[encoding]:
            parts, used = parts + 1, 0
        used += size
    return parts
