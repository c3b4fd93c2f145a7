"""A mail as the bytes that go over the wire: text and HTML, 7-bit in every part (RFC 2045, RFC 2046)."""

import base64
import re
from dataclasses import dataclass
from email.quoprimime import body_encode
from email.utils import formatdate

from portal.core.rules.email_address import Mailbox, to_wire_format
from portal.gateways.rules.email_headers import address_header, header_text, text_header

_BOUNDARY = "=_part"
"""Neither quoted-printable nor base64 can hold it (RFC 2045 6.7)."""
_MAX_QUOTED_LINE = 74
"""Two less than allowed, for the two that hiding "From " takes."""


@dataclass(frozen=True)
class OutgoingEmail:
    """`message_id` is the same at every attempt, so that a receiver can drop a copy (RFC 5322 3.6.4)."""

    to: str
    recipient_name: str
    subject: str
    text: str
    html: str
    message_id: str


def compose_email(mail: OutgoingEmail, sender: Mailbox, at_seconds: float | None = None) -> bytes:
    """Text and HTML in one message, marked as sent by a machine (RFC 3834) so that holiday replies stay away.

    `at_seconds` since 1970 is its date, else now. Only an address with letters beyond ASCII before the @ is not ASCII.
    Raises `EmailAddressError` for a recipient that cannot be sent to.
    """
    headers = [
        address_header("From", sender.name, sender.address),
        address_header("To", mail.recipient_name, to_wire_format(mail.to)),
        text_header("Subject", mail.subject),
        f"Date: {formatdate(at_seconds, usegmt=True)}",
        f"Message-ID: {header_text(mail.message_id)}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"',
    ]
    parts = (_mime_part("plain", mail.text), _mime_part("html", mail.html))
    body = "".join(f"\r\n--{_BOUNDARY}\r\n{part}" for part in parts)  # the line end before it is the boundary's
    return ("\r\n".join(headers) + f"\r\n{body}\r\n--{_BOUNDARY}--\r\n").encode()


def _mime_part(subtype: str, text: str) -> str:
    """With its lines as they are, each ended by CRLF; in the shorter of the two encodings."""
    lines = re.sub("\r\n|\r", "\n", text).removesuffix("\n") + "\n"
    raw = lines.replace("\n", "\r\n").encode(errors="replace")
    quoted = _quoted_printable(lines.encode(errors="replace"))
    encoding, body = "quoted-printable", quoted
    if len(quoted) > len(raw) * 1.4:
        encoding, body = "base64", base64.encodebytes(raw).decode().replace("\n", "\r\n")
    kind = f'Content-Type: text/{subtype}; charset="utf-8"'
    return f"{kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"


def _quoted_printable(raw: bytes) -> str:
    """No line begins with "From ", before which relays put a ">", nor with a dot, at which some of them stumble."""
    body = body_encode(raw.decode("latin-1"), _MAX_QUOTED_LINE, "\r\n")
    return re.sub(r"(?m)^From ", "=46rom ", re.sub(r"(?m)^\.", "=2E", body))
