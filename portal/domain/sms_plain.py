"""Look-alikes in texts: what GSM-7 has instead of characters that would make a text cost more than twice as much.

What has no look-alike stays as it is. What is read as one character (a letter with its accents, a flag, a family) is
changed or kept as a whole.
"""

import unicodedata
from dataclasses import dataclass

import regex

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("^{}\\[~]|€\f")
_GSM7 = BASIC | (EXTENDED - {"\f"})
_LIKE = {
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
_LOOK_ALIKES = {character: plain for plain, characters in _LIKE.items() for character in characters}
_COMPATIBLE = regex.compile("[\uff01-\uff5e\uffe0-\uffe6\ufb00-\ufb06\U0001d400-\U0001d7ff\u2160-\u217b]")
"""Wide and styled letters, ligatures and Roman numerals: the same characters in another dress."""
_UNSEEN = regex.compile(r"[\p{Cf}\p{Cc}\p{Cs}\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_CLUSTER = regex.compile(r"\X")
_PICTURE = regex.compile(r"[\p{Extended_Pictographic}\p{Regional_Indicator}]")
_KEYCAP = regex.compile("[0-9#*](?=\ufe0f?\u20e3)")


@dataclass(frozen=True)
class Change:
    """What stood in the words, as it can be shown, and what the text has instead; "" where it is left out."""

    shown: str
    plain: str


@dataclass(frozen=True)
class Plain:
    text: str
    changes: tuple[Change, ...]


def lighten(text: str) -> Plain:
    """Line breaks stay, other white space is a blank. `changes` are named once each, in order."""
    if _GSM7.issuperset(text):
        return Plain(text, ())
    parts: list[str] = []
    changes: dict[Change, None] = {}
    for cluster in clusters(text.replace("\r\n", "\n")):
        made = _plain(cluster)
        parts.append(made)
        if made != cluster and made != unicodedata.normalize("NFC", cluster):
            changes[Change(shown(cluster), made)] = None
    return Plain("".join(parts), tuple(changes))


def clusters(text: str) -> list[str]:
    """What a reader takes for one character each."""
    return [str(cluster) for cluster in _CLUSTER.findall(text)]


def without_pictures(text: str) -> tuple[str, tuple[str, ...]]:
    """The words without emoji and flags, and which those were; a number in a box is the number."""
    kept: list[str] = []
    pictures: dict[str, None] = {}
    for cluster in clusters(text):
        boxed = _KEYCAP.match(cluster)
        if boxed or _PICTURE.search(cluster):
            pictures[cluster] = None
        kept.append(boxed.group() if boxed else "" if cluster in pictures else cluster)
    return " ".join("".join(kept).split()), tuple(pictures)


def shown(cluster: str) -> str:
    """What cannot be seen goes by its name."""
    if cluster.isprintable() and not cluster.isspace() and not all(map(unicodedata.combining, cluster)):
        return cluster
    return " ".join(unicodedata.name(character, f"U+{ord(character):04X}").lower() for character in cluster)


def _plain(cluster: str) -> str:
    """The cluster in GSM-7; composed, but otherwise as it is, if any part of it has no look-alike."""
    if cluster in _GSM7:
        return cluster
    composed = unicodedata.normalize("NFC", cluster)
    made = [_instead(character) for character in composed]
    return composed if None in made else "".join(part or "" for part in made)


def _instead(character: str) -> str | None:
    """None if there is nothing."""
    if character in _GSM7:
        return character
    if character in _LOOK_ALIKES:
        return _LOOK_ALIKES[character]
    if character.isspace():
        return " "
    if _UNSEEN.match(character):
        return ""
    same = unicodedata.normalize("NFKC", character) if _COMPATIBLE.match(character) else ""
    return same if same and _GSM7.issuperset(same) else None
