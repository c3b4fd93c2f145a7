"""Cleans text input: removes invisible characters, replaces unusual spaces, and composes letters (NFC).

Pasted phone numbers, names and keys contain invisible characters, and values that look alike must be equal. Text keeps
such characters if they carry meaning: joiners in emoji and in Persian or Indic words, and variants of Han characters.
Passwords, templates and content blocks are not cleaned.
"""

import re
import unicodedata

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0"
"""Unicode spaces, and what looks like one: the Braille blank and the Hangul fillers."""
_BREAKS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_JOINERS = "\u200c\u200d"
_VARIANTS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TAGS = "\U000e0020-\U000e007f"
_SURROGATES = "\ud800-\udfff"
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff0-\ufffc\ufffe\uffff\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17))
)
"""Control and format characters, default ignorables and noncharacters. Visible format characters, such as the Arabic
number signs, are kept."""
_SPACE, _INVISIBLE_RUN, _SURROGATE = (
    re.compile(f"[{kind}]+" if kind is _INVISIBLE else f"[{kind}]") for kind in (_SPACES, _INVISIBLE, _SURROGATES)
)
_LINE_END, _ODD_LINE_END = re.compile(f"\r\n|[{_BREAKS}]"), re.compile(f"(?![\r\n])[{_BREAKS}]")
_IN_CONTEXT = re.compile(f"[{_JOINERS}{_VARIANTS}{_TAGS}]")
_JOINER, _VARIANT, _TAG = (re.compile(f"[{kind}]") for kind in (_JOINERS, _VARIANTS, _TAGS))
_JOINING_SCRIPT = re.compile(
    "[\u0600-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010aff\U00010d00-\U00010fff\U00011000-\U00011fff\U0001e900-\U0001e95f]"
)
"""Arabic and related scripts, and the scripts of South and Southeast Asia."""
_VIRAMA = 9
_BLACK_FLAG, _KEYCAP, _EMOJI_OR_NOT = "\U0001f3f4", "\u20e3", "\ufe0e\ufe0f"
_MARKS_THAT_ARE_EMOJI = "\u203c\u2049\u3030"


def clean_line(text: str) -> str:
    """A name, a label or a search: one line, single spaces, none at the ends."""
    return _collapse_spaces(_clean(text, " ", " ", joiners=True))


def clean_lines(text: str, joiners: bool = True) -> str:
    """Text of several lines: line ends become line feeds; tabs and spaces are kept."""
    return _clean(text, "\n", "\t", joiners)


def clean_csv(text: str) -> str:
    """A CSV: its line ends and tabs are kept; unusual line ends become spaces."""
    return _clean(text, "", "\t", joiners=True)


def clean_code(text: str) -> str:
    """An email address, an account number, a phone number, a key or a token: like `clean_line`, without joiners."""
    return _collapse_spaces(_clean(text, " ", " ", joiners=False))


def clean_for_storage(text: str) -> str:
    """Raw text without what PostgreSQL cannot store: null bytes and surrogates."""
    return _SURROGATE.sub("\ufffd", text.replace("\x00", ""))


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())


def _clean(text: str, line_end: str, tab: str, joiners: bool) -> str:
    """`line_end` replaces every line end; if it is empty, CR and LF are kept."""
    if text.isascii() and text.isprintable():
        return text
    text = _SPACE.sub(" ", _INVISIBLE_RUN.sub("", _SURROGATE.sub("\ufffd", text)))
    text = _LINE_END.sub(line_end, text) if line_end else _ODD_LINE_END.sub(" ", text)
    text = _IN_CONTEXT.sub(_keep_if_significant if joiners else "", text.replace("\t", tab))
    return unicodedata.normalize("NFC", text)


def _keep_if_significant(match: re.Match[str]) -> str:
    start, end = match.span()
    context = match.string[max(0, start - 2) : start], match.string[end : end + 1]
    return match[0] if _is_significant(match[0], *context) else ""


def _is_significant(character: str, before: str, after: str) -> bool:
    """Whether removing the invisible character would change the look or meaning of its context."""
    last = before[-1:]
    if not last:
        return False
    if _JOINER.match(character):
        return _joiner_matters(character, before, after)
    if _VARIANT.match(character):
        return _variant_matters(character, last, after)
    return bool(_TAG.match(character)) and (last == _BLACK_FLAG or bool(_TAG.match(last)))


def _joiner_matters(joiner: str, before: str, after: str) -> bool:
    """A joiner matters between letters of joining scripts, after a virama (even at the end), or between emoji."""
    last = before[-1]
    if unicodedata.combining(last) == _VIRAMA:
        return True
    if _JOINING_SCRIPT.match(last):
        return bool(_JOINING_SCRIPT.match(after))
    emoji = before[-2:-1] if last in _EMOJI_OR_NOT else last
    return joiner == "\u200d" and unicodedata.category(emoji or " ") in ("So", "Sk") and _is_symbol(after)


def _variant_matters(selector: str, last: str, after: str) -> bool:
    """Selects emoji or text style of symbols and keycaps, or another form of a Han, Mongolian or Myanmar letter."""
    if selector in _EMOJI_OR_NOT:
        return _is_symbol(last) or last in _MARKS_THAT_ARE_EMOJI or after == _KEYCAP
    return unicodedata.category(last) in ("Lo", "So", "Sm")


def _is_symbol(character: str) -> bool:
    return bool(character) and unicodedata.category(character) in ("So", "Sm")
