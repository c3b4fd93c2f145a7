"""Header lines of a mail: each value parses back to exactly what was meant (RFC 5322, RFC 2047).

Python's own folding is not used: it joins or drops spaces between encoded words, and takes a value that looks like an
encoded word for one. So everything that is not plain is encoded here, whole.
"""

import base64
import re
from collections.abc import Iterator

_MAX_LINE_LENGTH = 76
"""Characters of a line (RFC 2047 2 for one with an encoded word; RFC 5322 2.1.1 would allow two more)."""
_MAX_ENCODED_WORD_LENGTH = 75
_MAX_PLAIN_WORD_LENGTH = 60
_MAX_DISPLAY_NAME_LENGTH = 980
"""With the header's name before it, below the 998 characters that RFC 5322 2.1.1 allows a line."""
_PREFIX, _SUFFIX = "=?utf-8?{}?", "?="
_ENCODED_WORD_OVERHEAD = len(_PREFIX.format("q")) + len(_SUFFIX)
_CONTROL = re.compile("\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PRINTABLE = re.compile(r"[ -~]+\Z")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""What RFC 2047 5 (3) lets stand for itself in every place, names included."""


def header_text(text: str) -> str:
    """What of a text a header can carry: a line end or another control character is read as a space."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


def text_header(name: str, text: str) -> str:
    """A header of free text, such as Subject, folded; without the line end after it."""
    value = header_text(text)
    if _is_plain(value):
        return _fold(name, value.split(" "))
    return _fold(name, _encoded_words(value, _MAX_LINE_LENGTH - len(f"{name}: "), _MAX_ENCODED_WORD_LENGTH))


def address_header(name: str, display_name: str, address: str) -> str:
    """A header of one mailbox. `address` is ready for the wire (`mail_address.to_wire_format`)."""
    shown = header_text(display_name)
    if not shown.strip():
        return f"{name}: {address}"
    return _fold(name, [*_display_name_words(shown), f"<{address}>"])


def _display_name_words(shown: str) -> list[str]:
    """A display name in one piece, wherever that is possible, though its line may get long.

    A quoted string that is folded ends at the fold for `email.utils.parseaddr`, and Python's newer parser puts, before
    3.12.9 and 3.13.2, a space between two encoded words of a name. No reader is known to mind the length.
    """
    if _PRINTABLE.match(shown) and "=?" not in shown:
        quoted = shown if _ATOMS.match(shown) else '"' + re.sub(r'(["\\])', r"\\\1", shown) + '"'
        if len(quoted) <= _MAX_DISPLAY_NAME_LENGTH:
            return quoted.split(" ") if quoted == shown else [quoted]
    return list(_encoded_words(shown, _MAX_DISPLAY_NAME_LENGTH, _MAX_DISPLAY_NAME_LENGTH))


def _is_plain(value: str) -> bool:
    """Whether it can stand as it is, and be folded at its spaces."""
    if not value:
        return True
    words = value.split(" ")
    return (
        bool(_PRINTABLE.match(value))
        and "=?" not in value
        and all(0 < len(word) <= _MAX_PLAIN_WORD_LENGTH for word in words)
    )


def _fold(name: str, words: list[str] | Iterator[str]) -> str:
    lines = [f"{name}:"]
    for place, word in enumerate(words):
        if place and len(lines[-1]) + 1 + len(word) > _MAX_LINE_LENGTH:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)


def _encoded_words(value: str, first_room: int, room: int) -> Iterator[str]:
    """As encoded words of whole characters, in the shorter encoding. The space between two counts nothing."""
    in_q = sum(len(_q_encode(character)) for character in value)
    in_base64 = 4 * -(-len(value.encode()) // 3)
    kind = "q" if in_q <= in_base64 else "b"
    write = _q_encode if kind == "q" else _b_encode
    start, used = 0, 0
    for place, character in enumerate(value):
        payload = (first_room if start == 0 else room) - _ENCODED_WORD_OVERHEAD
        most, size = (
            (payload, len(_q_encode(character))) if kind == "q" else (payload // 4 * 3, len(character.encode()))
        )
        if used + size > most:
            yield _PREFIX.format(kind) + write(value[start:place]) + _SUFFIX
            start, used = place, 0
        used += size
    yield _PREFIX.format(kind) + write(value[start:]) + _SUFFIX


def _q_encode(text: str) -> str:
    return "".join("_" if byte == 32 else chr(byte) if byte in _Q_SAFE else f"={byte:02X}" for byte in text.encode())


def _b_encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
