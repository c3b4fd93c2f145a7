"""Composes an email as bytes: text and HTML, 7-bit in every part (RFC 2045, RFC 2046)."""

import base64
import re
from dataclasses import dataclass
from email.quoprimime import body_encode
from email.utils import formatdate

from portal.core.rules.email_address import Mailbox, to_wire_format
from portal.gateways.rules.email_headers import address_header, header_text, text_header

_BOUNDARY = "=_part"
"""Neither quoted-printable nor base64 can contain it (RFC 2045 6.7)."""
_MAX_QUOTED_LINE = 74
"""Two less than the limit, because escaping "From " adds two characters."""


@dataclass(frozen=True)
class OutgoingEmail:
    """`message_id` is the same for every attempt, so that a receiver can drop a duplicate (RFC 5322 3.6.4)."""

    to: str
    recipient_name: str
    subject: str
    text: str
    html: str
    message_id: str


def compose_email(mail: OutgoingEmail, sender: Mailbox) -> bytes:
    """A message with text and HTML, marked as automatic (RFC 3834) to prevent out-of-office replies.

    It is ASCII, except for a non-ASCII local part of the address. Raises `EmailAddressError` for an invalid recipient.
    """
    headers = [
        address_header("From", sender.name, sender.address),
        address_header("To", mail.recipient_name, to_wire_format(mail.to)),
        text_header("Subject", mail.subject),
        f"Date: {formatdate(usegmt=True)}",
        f"Message-ID: {header_text(mail.message_id)}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"',
    ]
    parts = (_mime_part("plain", mail.text), _mime_part("html", mail.html))
    body = "".join(f"\r\n--{_BOUNDARY}\r\n{part}" for part in parts)  # the preceding line end belongs to the boundary
    return ("\r\n".join(headers) + f"\r\n{body}\r\n--{_BOUNDARY}--\r\n").encode()


def _mime_part(subtype: str, text: str) -> str:
    """A part with CRLF line ends, in the shorter of the two encodings."""
    lines = re.sub("\r\n|\r", "\n", text).removesuffix("\n") + "\n"
    raw = lines.replace("\n", "\r\n").encode(errors="replace")
    quoted = _quoted_printable(lines.encode(errors="replace"))
    encoding, body = "quoted-printable", quoted
    if len(quoted) > len(raw) * 1.4:
        encoding, body = "base64", base64.encodebytes(raw).decode().replace("\n", "\r\n")
    content_type = f'Content-Type: text/{subtype}; charset="utf-8"'
    return f"{content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"


def _quoted_printable(raw: bytes) -> str:
    """No line starts with "From ", which relays prefix with ">", or with a dot, which some of them mishandle."""
    body = body_encode(raw.decode("latin-1"), _MAX_QUOTED_LINE, "\r\n")
    return re.sub(r"(?m)^From ", "=46rom ", re.sub(r"(?m)^\.", "=2E", body))
