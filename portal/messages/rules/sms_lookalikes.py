"""Look-alikes in texts: what GSM-7 has instead of characters that would make a text cost more than twice as much.

What has no look-alike stays as it is. What is read as one character (a letter with its accents, a flag, a family) is
changed or kept as a whole.
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
"""Wide and styled letters, ligatures and Roman numerals: the same characters in another dress."""
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Cc}\p{Cs}\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_CLUSTER = regex.compile(r"\X")
_PICTURE = regex.compile(r"[\p{Extended_Pictographic}\p{Regional_Indicator}]")
_KEYCAP = regex.compile("[0-9#*](?=\ufe0f?\u20e3)")


@dataclass(frozen=True)
class CharacterReplacement:
    """What stood in the words, as it can be shown, and what the text has instead; "" where it is left out."""

    printable_form: str
    replacement: str


@dataclass(frozen=True)
class Transliteration:
    text: str
    replacements: tuple[CharacterReplacement, ...]


def transliterate(text: str) -> Transliteration:
    """Line breaks stay, other white space is a blank. `changes` are named once each, in order."""
    if _GSM7.issuperset(text):
        return Transliteration(text, ())
    parts: list[str] = []
    changes: dict[CharacterReplacement, None] = {}
    for cluster in grapheme_clusters(text.replace("\r\n", "\n")):
        made = _transliterate_cluster(cluster)
        parts.append(made)
        if made != cluster and made != unicodedata.normalize("NFC", cluster):
            changes[CharacterReplacement(printable_form(cluster), made)] = None
    return Transliteration("".join(parts), tuple(changes))


def grapheme_clusters(text: str) -> list[str]:
    """What a reader takes for one character each."""
    return [str(cluster) for cluster in _CLUSTER.findall(text)]


def strip_emoji(text: str) -> tuple[str, tuple[str, ...]]:
    """The words without emoji and flags, and which those were; a number in a box is the number."""
    kept: list[str] = []
    pictures: dict[str, None] = {}
    for cluster in grapheme_clusters(text):
        boxed = _KEYCAP.match(cluster)
        if boxed or _PICTURE.search(cluster):
            pictures[cluster] = None
        kept.append(boxed.group() if boxed else "" if cluster in pictures else cluster)
    return " ".join("".join(kept).split()), tuple(pictures)


def printable_form(cluster: str) -> str:
    """What cannot be seen goes by its name."""
    if cluster.isprintable() and not cluster.isspace() and not all(map(unicodedata.combining, cluster)):
        return cluster
    return " ".join(unicodedata.name(character, f"U+{ord(character):04X}").lower() for character in cluster)


def _transliterate_cluster(cluster: str) -> str:
    """The cluster in GSM-7; composed, but otherwise as it is, if any part of it has no look-alike."""
    if cluster in _GSM7:
        return cluster
    composed = unicodedata.normalize("NFC", cluster)
    made = [_gsm7_equivalent(character) for character in composed]
    return composed if None in made else "".join(part or "" for part in made)


def _gsm7_equivalent(character: str) -> str | None:
    """None if there is nothing."""
    if character in _GSM7:
        return character
    if character in _LOOK_ALIKES:
        return _LOOK_ALIKES[character]
    if character.isspace():
        return " "
    if _INVISIBLE.match(character):
        return ""
    same = unicodedata.normalize("NFKC", character) if _COMPATIBILITY_FORMS.match(character) else ""
    return same if same and _GSM7.issuperset(same) else None
