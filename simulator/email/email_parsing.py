"""Parse a received email into its envelope, headers and parts."""

from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass(frozen=True)
class Email:
    """`sender` and `recipients` are the addresses of the SMTP envelope."""

    id: int
    at_ms: int
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str


@dataclass(frozen=True)
class EmailParts:
    headers: list[tuple[str, str]]
    text: str | None
    html: str | None


def parse_email(email_id: int, at_ms: int, sender: str, recipients: list[str], raw: bytes) -> Email:
    message = _parse(raw)
    return Email(
        id=email_id,
        at_ms=at_ms,
        sender=sender,
        recipients=tuple(recipients),
        subject=str(message["subject"] or ""),
        message_id=str(message["message-id"] or "").strip(),
    )


def email_parts(raw: bytes) -> EmailParts:
    message = _parse(raw)
    return EmailParts(
        headers=[(name, str(value)) for name, value in message.items()],
        text=_part(message, "plain"),
        html=_part(message, "html"),
    )


def _parse(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=default)


def _part(message: EmailMessage, subtype: str) -> str | None:
    part = message.get_body(preferencelist=(subtype,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # for an unknown charset, show as much as can be decoded
        return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")
