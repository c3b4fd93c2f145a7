"""GSM-7 look-alikes of characters that would make a text cost more than twice as much.

A character without a look-alike stays as it is. A grapheme cluster (a letter with its accents, a flag, a family) is
replaced or kept as a whole.
"""

import unicodedata
from dataclasses import dataclass

import regex

GSM7_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("^{}\\[~]|€\f")
_GSM7 = GSM7_BASIC | (GSM7_EXTENSION - {"\f"})
_LOOK_ALIKES_BY_PLAIN = {
    "'": "‘’‚‛′‵´`ʹʻʼʽʾʿˈˊˋ‹›＇",
    '"': "“”„‟″‶«»〝〞❝❞ʺˮ",
    "-": "‐‑‒–—―−⁃•‣∙●▪·‧・﹘﹣➖",
    "...": "…⋯",
    "/": "⁄∕",
    ":": "∶꞉",
    "*": "∗⁎﹡",
    "~": "∼˜〜",
    "^": "ˆ",
    ".": "․",
    ",": "﹐",
    "x": "×",
    "|": "¦∣",
    "<": "〈",
    ">": "〉",
    "Δ": "∆",
    "Σ": "∑",
    "Π": "∏",
    " ": "\u2800\u3164\uffa0\u115f\u1160",
}
_LOOK_ALIKES = {character: plain for plain, characters in _LOOK_ALIKES_BY_PLAIN.items() for character in characters}
_COMPATIBILITY_FORMS = regex.compile("[\uff01-\uff5e\uffe0-\uffe6\ufb00-\ufb06\U0001d400-\U0001d7ff\u2160-\u217b]")
"""Wide and styled letters, ligatures and Roman numerals: variants of plain characters."""
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Cc}\p{Cs}\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_CLUSTER = regex.compile(r"\X")
_EMOJI = regex.compile(r"[\p{Extended_Pictographic}\p{Regional_Indicator}]")
_KEYCAP = regex.compile("[0-9#*](?=\ufe0f?\u20e3)")


@dataclass(frozen=True)
class CharacterReplacement:
    """The original character in printable form, and what replaces it in the text; "" if it is removed."""

    printable_form: str
    replacement: str


@dataclass(frozen=True)
class Transliteration:
    text: str
    replacements: tuple[CharacterReplacement, ...]


def transliterate(text: str) -> Transliteration:
    """Keep line breaks and turn other white space into spaces. `replacements` has each replacement once, in order."""
    if _GSM7.issuperset(text):
        return Transliteration(text, ())
    parts: list[str] = []
    replacements: dict[CharacterReplacement, None] = {}
    for cluster in grapheme_clusters(text.replace("\r\n", "\n")):
        plain = _transliterate_cluster(cluster)
        parts.append(plain)
        if plain != cluster and plain != unicodedata.normalize("NFC", cluster):
            replacements[CharacterReplacement(printable_form(cluster), plain)] = None
    return Transliteration("".join(parts), tuple(replacements))


def strip_accents(text: str) -> Transliteration:
    """Replace letters by their plain ones where GSM-7 lacks the accent. `replacements` as for `transliterate`."""
    if _GSM7.issuperset(text):
        return Transliteration(text, ())
    parts, replacements = [], dict[CharacterReplacement, None]()
    for cluster in grapheme_clusters(unicodedata.normalize("NFC", text)):
        base = unicodedata.normalize("NFD", cluster)[0]
        plain = cluster if cluster in _GSM7 or base not in _GSM7 or not base.isalpha() else base
        parts.append(plain)
        if plain != cluster:
            replacements[CharacterReplacement(printable_form(cluster), plain)] = None
    return Transliteration("".join(parts), tuple(replacements))


def without_accents(text: str) -> str:
    """To compare words, which people write with accents or without."""
    if text.isascii():
        return text
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def grapheme_clusters(text: str) -> list[str]:
    """Split a text into the characters that a reader perceives."""
    return [str(cluster) for cluster in _CLUSTER.findall(text)]


def strip_emoji(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text without emoji and flags, and those removed. A keycap emoji becomes its digit."""
    parts: list[str] = []
    emoji: dict[str, None] = {}
    for cluster in grapheme_clusters(text):
        keycap = _KEYCAP.match(cluster)
        if keycap or _EMOJI.search(cluster):
            emoji[cluster] = None
        parts.append(keycap.group() if keycap else "" if cluster in emoji else cluster)
    return " ".join("".join(parts).split()), tuple(emoji)


def printable_form(cluster: str) -> str:
    """Return the cluster itself, or its Unicode name if it is invisible."""
    if cluster.isprintable() and not cluster.isspace() and not all(map(unicodedata.combining, cluster)):
        return cluster
    return " ".join(unicodedata.name(character, f"U+{ord(character):04X}").lower() for character in cluster)


def _transliterate_cluster(cluster: str) -> str:
    """Return the cluster in GSM-7, or composed but unchanged if any part of it has no look-alike."""
    if cluster in _GSM7:
        return cluster
    composed = unicodedata.normalize("NFC", cluster)
    parts = [_gsm7_equivalent(character) for character in composed]
    return composed if None in parts else "".join(part or "" for part in parts)


def _gsm7_equivalent(character: str) -> str | None:
    """Return None if there is none."""
    if character in _GSM7:
        return character
    if character in _LOOK_ALIKES:
        return _LOOK_ALIKES[character]
    if character.isspace():
        return " "
    if _INVISIBLE.match(character):
        return ""
    normalized = unicodedata.normalize("NFKC", character) if _COMPATIBILITY_FORMS.match(character) else ""
    return normalized if normalized and _GSM7.issuperset(normalized) else None
