"""Email header lines that parse back to exactly the same value (RFC 5322, RFC 2047).

The header classes of Python's newer email package join or drop spaces between encoded words, and decode text that looks
like an encoded word. So every value that is not plain is encoded completely here, with the older `email.header`.
"""

import re
from email.charset import Charset
from email.header import Header
from email.utils import quote
from itertools import repeat

_MAX_LINE_LENGTH = 76
"""The limit for a line with an encoded word (RFC 2047 2); RFC 5322 2.1.1 allows 78 otherwise."""
_MAX_PLAIN_WORD_LENGTH = 60
_MAX_DISPLAY_NAME_LENGTH = 980
"""Together with the header name, less than the 998 characters that RFC 5322 2.1.1 allows in a line."""
_CONTROL = re.compile("\r\n|[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PRINTABLE = re.compile(r"[ -~]+\Z")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z")


def header_text(text: str) -> str:
    """The text with line ends and other control characters replaced by spaces."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))


def text_header(name: str, text: str) -> str:
    """A folded header of free text, such as Subject, without a final line end."""
    value = header_text(text)
    header = Header(value, "us-ascii" if _is_plain(value) else "utf-8", _MAX_LINE_LENGTH, name)
    return f"{name}: " + header.encode(linesep="\r\n")


def address_header(name: str, display_name: str, address: str) -> str:
    """A header with one mailbox. `address` is in wire format (`email_address.to_wire_format`)."""
    text = header_text(display_name)
    return f"{name}: {_encode_display_name(text)} <{address}>" if text.strip() else f"{name}: {address}"


def _encode_display_name(text: str) -> str:
    """A display name, not folded if possible, although its line may be long.

    `email.utils.parseaddr` ends a quoted string at the fold, and before 3.12.9 and 3.13.2 Python's newer parser puts a
    space between two encoded words of a name. No known reader has a problem with the length.
    """
    if _PRINTABLE.match(text) and "=?" not in text:
        quoted = text if _ATOMS.match(text) else f'"{quote(text)}"'
        if len(quoted) <= _MAX_DISPLAY_NAME_LENGTH:
            return quoted
    words = Charset("utf-8").header_encode_lines(text, repeat(_MAX_DISPLAY_NAME_LENGTH))
    return "\r\n ".join(filter(None, words))


def _is_plain(value: str) -> bool:
    """Whether the value needs no encoding and can be folded at its spaces."""
    is_foldable = all(0 < len(word) <= _MAX_PLAIN_WORD_LENGTH for word in value.split(" "))
    return not value or (bool(_PRINTABLE.match(value)) and "=?" not in value and is_foldable)
