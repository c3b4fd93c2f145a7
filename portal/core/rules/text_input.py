"""Text that comes in: what nobody sees is taken out, odd spaces are read as a space, letters are composed (NFC).

Pasted numbers, names and keys carry characters that no screen shows, and two values that look alike must be alike.
Where such a character means something (the joiners of emoji and of Persian or Indic words, the variants of Han
characters), words keep it. Passwords and what is written to be sent (templates, content blocks) do not come through
here.
"""

import re
import unicodedata

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0"
"""Unicode's spaces, and what looks like one: the blank of Braille, the fillers of Hangul."""
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
"""Control and format characters, default ignorable ones, and numbers that are no character. What is seen, such as the
signs that Arabic puts before numbers, stays although Unicode calls it a format character."""
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
"""Arabic and its kin, and the scripts of South and Southeast Asia."""
_VIRAMA = 9
_BLACK_FLAG, _KEYCAP, _EMOJI_OR_NOT = "\U0001f3f4", "\u20e3", "\ufe0e\ufe0f"
_MARKS_THAT_ARE_EMOJI = "\u203c\u2049\u3030"


def clean_line(text: str) -> str:
    """A name, a label, words to look for: in one line, single spaces, none at the ends."""
    return _collapse_spaces(_clean(text, " ", " ", joiners=True))


def clean_lines(text: str, joiners: bool = True) -> str:
    """Words in several lines: line ends are line feeds; tabs stay, and so do spaces in a row and at the ends."""
    return _clean(text, "\n", "\t", joiners)


def clean_csv(text: str) -> str:
    """A CSV: the line ends and tabs that part its cells stay as they are, an odd line end is a space."""
    return _clean(text, "", "\t", joiners=True)


def clean_code(text: str) -> str:
    """An email address, an account number, a phone number, a key, a token: as `one_line`, without any joiner."""
    return _collapse_spaces(_clean(text, " ", " ", joiners=False))


def clean_for_storage(text: str) -> str:
    """What is kept as it came, as far as a database can: PostgreSQL keeps no null bytes and no half characters."""
    return _SURROGATE.sub("\ufffd", text.replace("\x00", ""))


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())


def _clean(text: str, line_end: str, tab: str, joiners: bool) -> str:
    """`line_end` instead of every line end; without it, those of files stay."""
    if text.isascii() and text.isprintable():
        return text
    text = _SPACE.sub(" ", _INVISIBLE_RUN.sub("", _SURROGATE.sub("\ufffd", text)))
    text = _LINE_END.sub(line_end, text) if line_end else _ODD_LINE_END.sub(" ", text)
    text = _IN_CONTEXT.sub(_keep_if_significant if joiners else "", text.replace("\t", tab))
    return unicodedata.normalize("NFC", text)


def _keep_if_significant(found: re.Match[str]) -> str:
    start, end = found.span()
    around = found.string[max(0, start - 2) : start], found.string[end : end + 1]
    return found[0] if _is_significant(found[0], *around) else ""


def _is_significant(sign: str, before: str, after: str) -> bool:
    """Of a character that is not seen by itself: whether what stands around it looks or means other without it."""
    last = before[-1:]
    if not last:
        return False
    if _JOINER.match(sign):
        return _joiner_matters(sign, before, after)
    if _VARIANT.match(sign):
        return _variant_matters(sign, last, after)
    return bool(_TAG.match(sign)) and (last == _BLACK_FLAG or bool(_TAG.match(last)))


def _joiner_matters(sign: str, before: str, after: str) -> bool:
    """Between letters of scripts that join, after a virama (an old Malayalam word may end so), or between emoji."""
    last = before[-1]
    if unicodedata.combining(last) == _VIRAMA:
        return True
    if _JOINING_SCRIPT.match(last):
        return bool(_JOINING_SCRIPT.match(after))
    emoji = before[-2:-1] if last in _EMOJI_OR_NOT else last
    return sign == "\u200d" and unicodedata.category(emoji or " ") in ("So", "Sk") and _is_symbol(after)


def _variant_matters(sign: str, last: str, after: str) -> bool:
    """Emoji or not, for symbols and keycaps; another shape of a Han, Mongolian or Myanmar letter or of a sign."""
    if sign in _EMOJI_OR_NOT:
        return _is_symbol(last) or last in _MARKS_THAT_ARE_EMOJI or after == _KEYCAP
    return unicodedata.category(last) in ("Lo", "So", "Sm")


def _is_symbol(sign: str) -> bool:
    return bool(sign) and unicodedata.category(sign) in ("So", "Sm")
