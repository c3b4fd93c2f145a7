"""Cleans text input: removes invisible characters, replaces unusual spaces, and composes letters (NFC).

Pasted phone numbers, names and keys contain invisible characters, and values that look alike must be equal. Text keeps
such characters if they carry meaning: joiners in emoji and in Persian or Indic words, and variants of Han characters.
Passwords, templates and content blocks are not cleaned.
"""

import unicodedata

import regex

_SPACES = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0"
"""Unicode spaces, and what looks like one: the Braille blank and the Hangul fillers."""
_BREAKS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_JOINERS = "\u200c\u200d"
_STYLES, _VARIANTS = "\ufe0e\ufe0f", "\u180b-\u180d\u180f\ufe00-\ufe0d\U000e0100-\U000e01ef"
"""Variation selectors: of emoji or text style, and of other forms of a Han, Mongolian or Myanmar letter."""
_TAGS = "\U000e0020-\U000e007f"
_IN_CONTEXT = f"{_JOINERS}{_STYLES}{_VARIANTS}{_TAGS}"
_ASCII_CONTROL = regex.compile(r"[\x00-\x08\v\f\x0e-\x1f\x7f]")
_SPACE, _SURROGATE = regex.compile(f"[{_SPACES}]"), regex.compile("[\ud800-\udfff]")
_INVISIBLE_RUN = regex.compile(
    rf"(?V1)[[\p{{Cc}}\p{{Default_Ignorable_Code_Point}}\p{{Noncharacter_Code_Point}}\ufff9-\ufffc\U0001d159]"
    rf"--[\t{_SPACES}{_BREAKS}{_IN_CONTEXT}]]+"
)
"""Visible format characters, such as the Arabic number signs, are kept."""
_LINE_END, _ODD_LINE_END = regex.compile(f"\r\n|[{_BREAKS}]"), regex.compile(f"(?![\r\n])[{_BREAKS}]")
_JOINING_SCRIPT = (
    "[\u0600-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00010aff\U00010d00-\U00010fff\U00011000-\U00011fff\U0001e900-\U0001e95f]"
)
"""Arabic and related scripts, and the scripts of South and Southeast Asia."""
_SIGNIFICANT = "|".join(
    (
        rf"(?<=\p{{ccc=Virama}})[{_JOINERS}]",
        rf"(?<={_JOINING_SCRIPT})[{_JOINERS}](?={_JOINING_SCRIPT})",
        rf"(?<!{_JOINING_SCRIPT})(?<=[\p{{So}}\p{{Sk}}][{_STYLES}]?)\u200d(?=[\p{{So}}\p{{Sm}}])",  # between emoji
        rf"(?<=[\p{{So}}\p{{Sm}}\u203c\u2049\u3030])[{_STYLES}]",
        rf"(?<=.)[{_STYLES}](?=\u20e3)",  # a keycap
        rf"(?<=[\p{{Lo}}\p{{So}}\p{{Sm}}])[{_VARIANTS}]",
        rf"(?<=[\U0001f3f4{_TAGS}])[{_TAGS}]",  # a flag
    )
)
"""Where removing the invisible character would change the look or meaning of its context."""
_ALL_IN_CONTEXT = regex.compile(f"[{_IN_CONTEXT}]")
_INSIGNIFICANT = regex.compile(f"(?s)(?!{_SIGNIFICANT})[{_IN_CONTEXT}]")


def clean_line(text: str) -> str:
    """A name, a label or a search: one line, single spaces, none at the ends."""
    return _collapse_spaces(_clean(text, " ", " ", joiners=True))


def clean_lines(text: str, joiners: bool = True) -> str:
    """Text of several lines: line ends become line feeds; tabs and spaces are kept."""
    return _clean(text, "\n", "\t", joiners)


def clean_csv(text: str) -> str:
    """A CSV: its line ends and tabs are kept; unusual line ends become spaces. A large file is not copied in vain."""
    if text.isascii() and not _ASCII_CONTROL.search(text):
        return text
    return _clean(text, "", "\t", joiners=True)


def clean_code(text: str) -> str:
    """An email address, an account number, a phone number, a key or a token: like `clean_line`, without joiners."""
    return _collapse_spaces(_clean(text, " ", " ", joiners=False))


def clean_for_storage(text: str) -> str:
    """Raw text without what PostgreSQL cannot store: null bytes and surrogates."""
    text = text.replace("\x00", "")
    return text if text.isascii() else str(_SURROGATE.sub("\ufffd", text))


def _collapse_spaces(text: str) -> str:
    return " ".join(text.split())


def _clean(text: str, line_end: str, tab: str, joiners: bool) -> str:
    """`line_end` replaces every line end; if it is empty, CR and LF are kept."""
    if text.isascii() and text.isprintable():
        return text
    text = _SPACE.sub(" ", _INVISIBLE_RUN.sub("", _SURROGATE.sub("\ufffd", text)))
    text = _LINE_END.sub(line_end, text) if line_end else _ODD_LINE_END.sub(" ", text)
    text = (_INSIGNIFICANT if joiners else _ALL_IN_CONTEXT).sub("", text.replace("\t", tab))
    return unicodedata.normalize("NFC", text)
