"""What a text weighs: GSM-7 and UCS-2, segments, and fitting subject and link into one segment.

Carriers count septets or UTF-16 units, not characters (3GPP TS 23.038; TWILIO.md 2.11).
"""

from dataclasses import dataclass

_GSM7_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENDED = set("^{}\\[~]|€\f")
_LOOK_ALIKES = str.maketrans(
    {
        "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"',
        "–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-", "•": "-", "…": "...",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "", "\t": " ",
    }
)  # fmt: skip
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
    """A text as it leaves; `shortened` says that the subject lost its end."""

    text: str
    shortened: bool
    weight: Weight


def weigh(text: str) -> Weight:
    used = frozenset(text)
    if used <= _GSM7_BASIC:  # by far the most texts, and there may be 100,000 of them
        return Weight("GSM-7", len(text), _segments(text, len(text), "GSM-7"), ())
    costly = tuple(dict.fromkeys(c for c in text if c not in _GSM7_BASIC and c not in _GSM7_EXTENDED))
    encoding = "UCS-2" if costly else "GSM-7"
    units = sum(_units(character, encoding) for character in text)
    return Weight(encoding, units, _segments(text, units, encoding), costly)


def plain(text: str) -> str:
    """Look-alikes made plain, as smart encoding does on the way, and each run of white space one blank."""
    return " ".join(text.translate(_LOOK_ALIKES).split())


def fit(subject: str, link: str) -> Fitted:
    """Subject and link in one segment: look-alikes are made plain, the subject is cut at a word, the link never."""
    words = plain(subject)
    whole = f"{words} {link}".strip()
    weight = weigh(whole)
    if weight.segments <= 1:
        return Fitted(whole, False, weight)
    text = _shorten(words, link)
    return Fitted(text, True, weigh(text))


def _shorten(subject: str, link: str) -> str:
    for end in range(min(len(subject), _SINGLE["GSM-7"]) - 1, 0, -1):
        text = f"{_cut(subject, end)}... {link}"
        if weigh(text).segments <= 1:
            return text
    return link


def _cut(subject: str, end: int) -> str:
    """The first `end` characters, back to the last whole word where that costs no more than a third of them."""
    head = subject[:end].rstrip()
    at_word = head if subject[end : end + 1] in ("", " ") else head.rpartition(" ")[0]
    return (at_word if len(at_word) * 3 >= len(head) * 2 else head).rstrip(" ,;:-")


def _units(character: str, encoding: str) -> int:
    if encoding == "GSM-7":
        return 2 if character in _GSM7_EXTENDED else 1
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
