"""Email header lines that parse back to exactly the same value (RFC 5322, RFC 2047).

Python's own folding joins or drops spaces between encoded words, and decodes text that looks like an encoded word. So
every value that is not plain is encoded completely here.
"""

import base64
import re
from collections.abc import Iterator

_MAX_LINE_LENGTH = 76
"""The limit for a line with an encoded word (RFC 2047 2); RFC 5322 2.1.1 allows 78 otherwise."""
_MAX_ENCODED_WORD_LENGTH = 75
_MAX_PLAIN_WORD_LENGTH = 60
_MAX_DISPLAY_NAME_LENGTH = 980
"""Together with the header name, less than the 998 characters that RFC 5322 2.1.1 allows in a line."""
_PREFIX, _SUFFIX = "=?utf-8?{}?", "?="
_ENCODED_WORD_OVERHEAD = len(_PREFIX.format("q")) + len(_SUFFIX)
_CONTROL = re.compile("\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PRINTABLE = re.compile(r"[ -~]+\Z")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""Characters that RFC 2047 5 (3) allows unencoded everywhere, including in display names."""


def header_text(text: str) -> str:
    """The text with line ends and other control characters replaced by spaces."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


def text_header(name: str, text: str) -> str:
    """A folded header of free text, such as Subject, without a final line end."""
    value = header_text(text)
    if _is_plain(value):
        return _fold(name, value.split(" "))
    return _fold(name, _encoded_words(value, _MAX_LINE_LENGTH - len(f"{name}: "), _MAX_ENCODED_WORD_LENGTH))


def address_header(name: str, display_name: str, address: str) -> str:
    """A header with one mailbox. `address` is in wire format (`email_address.to_wire_format`)."""
    text = header_text(display_name)
    if not text.strip():
        return f"{name}: {address}"
    return _fold(name, [*_display_name_words(text), f"<{address}>"])


def _display_name_words(text: str) -> list[str]:
    """A display name, not folded if possible, although its line may be long.

    `email.utils.parseaddr` ends a quoted string at the fold, and before 3.12.9 and 3.13.2 Python's newer parser puts a
    space between two encoded words of a name. No known reader has a problem with the length.
    """
    if _PRINTABLE.match(text) and "=?" not in text:
        quoted = text if _ATOMS.match(text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
        if len(quoted) <= _MAX_DISPLAY_NAME_LENGTH:
            return quoted.split(" ") if quoted == text else [quoted]
    return list(_encoded_words(text, _MAX_DISPLAY_NAME_LENGTH, _MAX_DISPLAY_NAME_LENGTH))


def _is_plain(value: str) -> bool:
    """Whether the value needs no encoding and can be folded at its spaces."""
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
    for index, word in enumerate(words):
        if index and len(lines[-1]) + 1 + len(word) > _MAX_LINE_LENGTH:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines)


def _encoded_words(value: str, first_length: int, max_length: int) -> Iterator[str]:
    """Encoded words of whole characters in the shorter encoding. Readers drop the space between two of them."""
    q_length = sum(len(_q_encode(character)) for character in value)
    base64_length = 4 * -(-len(value.encode()) // 3)
    encoding = "q" if q_length <= base64_length else "b"
    encode = _q_encode if encoding == "q" else _b_encode
    start, used = 0, 0
    for index, character in enumerate(value):
        payload = (first_length if start == 0 else max_length) - _ENCODED_WORD_OVERHEAD
        capacity = payload if encoding == "q" else payload // 4 * 3
        size = len(_q_encode(character)) if encoding == "q" else len(character.encode())
        if used + size > capacity:
            yield _PREFIX.format(encoding) + encode(value[start:index]) + _SUFFIX
            start, used = index, 0
        used += size
    yield _PREFIX.format(encoding) + encode(value[start:]) + _SUFFIX


def _q_encode(text: str) -> str:
    return "".join("_" if byte == 32 else chr(byte) if byte in _Q_SAFE else f"={byte:02X}" for byte in text.encode())


def _b_encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
