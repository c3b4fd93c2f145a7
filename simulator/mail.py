"""One e-mail as it came in by SMTP, taken apart for reading."""

from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass(frozen=True)
class Mail:
    id: int
    at_ms: int
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str


@dataclass(frozen=True)
class MailParts:
    headers: list[tuple[str, str]]
    text: str | None
    html: str | None


def parse_mail(mail_id: int, at_ms: int, sender: str, recipients: list[str], raw: bytes) -> Mail:
    parsed = _parsed(raw)
    return Mail(
        id=mail_id,
        at_ms=at_ms,
        sender=sender,
        recipients=tuple(recipients),
        subject=str(parsed["subject"] or ""),
        message_id=str(parsed["message-id"] or "").strip(),
    )


def parts_of(raw: bytes) -> MailParts:
    parsed = _parsed(raw)
    return MailParts(
        headers=[(name, str(value)) for name, value in parsed.items()],
        text=_part(parsed, "plain"),
        html=_part(parsed, "html"),
    )


def _parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=default)


def _part(parsed: EmailMessage, subtype: str) -> str | None:
    part = parsed.get_body(preferencelist=(subtype,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # an unknown charset: show what can be shown
        return bytes(part.get_payload(decode=True) or b"").decode("utf-8", "replace")
