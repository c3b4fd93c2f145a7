"""What a text weighs: GSM-7 and UCS-2, segments, and fitting subject and link into one segment.

Carriers count septets or UTF-16 units, not characters (3GPP TS 23.038; docs/twilio.md#segments).
"""

from dataclasses import dataclass

from portal.domain.sms_plain import BASIC, EXTENDED, Change, clusters, lighten, without_pictures

_SINGLE = {"GSM-7": 160, "UCS-2": 70}
_PART = {"GSM-7": 153, "UCS-2": 67}


@dataclass(frozen=True)
class Weight:
    """`units` are septets in GSM-7 and UTF-16 code units in UCS-2; `costly` are the characters that force UCS-2."""

    encoding: str
    units: int
    segments: int
    costly: tuple[str, ...]

    @property
    def room(self) -> int:
        """Units left in the last segment."""
        limit = _SINGLE[self.encoding] if self.segments <= 1 else _PART[self.encoding] * self.segments
        return limit - self.units


@dataclass(frozen=True)
class Fitted:
    """A text as it leaves: `shortened` says that the subject lost its end, `left_out` are emoji that gave way to words.

    `changes` are the look-alikes it has instead of what the subject says.
    """

    text: str
    shortened: bool
    weight: Weight
    changes: tuple[Change, ...] = ()
    left_out: tuple[str, ...] = ()


def weigh(text: str) -> Weight:
    used = frozenset(text)
    if used <= BASIC:  # by far the most texts, and there may be 100,000 of them
        return Weight("GSM-7", len(text), _segments(text, len(text), "GSM-7"), ())
    costly = tuple(dict.fromkeys(c for c in text if c not in BASIC and c not in EXTENDED))
    encoding = "UCS-2" if costly else "GSM-7"
    units = sum(_units(character, encoding) for character in text)
    return Weight(encoding, units, _segments(text, units, encoding), costly)


def plain(text: str) -> str:
    """Look-alikes made plain, as smart encoding does on the way, and each run of white space one blank."""
    return " ".join(lighten(text).text.split())


def fit(subject: str, link: str) -> Fitted:
    """Subject and link in one segment: look-alikes are made plain, the subject is cut at a word, the link never.

    Emoji are left out before words are lost: one of them makes room for 70 characters of what was room for 160.
    """
    light = lighten(subject)
    words = " ".join(light.text.split())
    if (whole := _whole(words, link)) is not None:
        return Fitted(whole.text, False, whole.weight, light.changes)
    bare, pictures = without_pictures(words)
    if bare and (whole := _whole(bare, link)) is not None:
        return Fitted(whole.text, False, whole.weight, light.changes, pictures)
    cut, cut_bare = _shorten(words, link), _shorten(bare, link)
    is_bare = _letters(cut_bare) > _letters(cut)
    text = cut_bare if is_bare else cut
    return Fitted(text, True, weigh(text), light.changes, pictures if is_bare else ())


def _whole(words: str, link: str) -> Fitted | None:
    text = f"{words} {link}".strip()
    weight = weigh(text)
    return Fitted(text, False, weight) if weight.segments <= 1 else None


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _shorten(subject: str, link: str) -> str:
    for end in reversed(_ends(subject)):
        text = f"{_cut(subject, end)}... {link}"
        if weigh(text).segments <= 1:
            return text
    return link


def _ends(subject: str) -> list[int]:
    """Where it may be cut: never inside what is read as one character, nor further than one segment holds."""
    ends, end = [], 0
    for cluster in clusters(subject[: _SINGLE["GSM-7"]]):
        end += len(cluster)
        ends.append(end)
    return [end for end in ends if end < min(len(subject), _SINGLE["GSM-7"])]


def _cut(subject: str, end: int) -> str:
    """The first `end` characters, back to the last whole word where that costs no more than a third of them."""
    head = subject[:end].rstrip()
    at_word = head if subject[end : end + 1] in ("", " ") else head.rpartition(" ")[0]
    return (at_word if len(at_word) * 3 >= len(head) * 2 else head).rstrip(" ,;:-")


def _units(character: str, encoding: str) -> int:
    if encoding == "GSM-7":
        return 2 if character in EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


def _segments(text: str, units: int, encoding: str) -> int:
    if units <= _SINGLE[encoding]:
        return 1 if text else 0
    return _parts(text, encoding)


def _parts(text: str, encoding: str) -> int:
    """Count the parts as a handset splits them: an escaped or surrogate pair is never torn apart."""
    parts, used = 1, 0
    for character in text:
        size = _units(character, encoding)
        if used + size > _PART[encoding]:
            parts, used = parts + 1, 0
        used += size
    return parts
