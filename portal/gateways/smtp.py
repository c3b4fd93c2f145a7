"""Mail by SMTP: one connection for many messages."""

import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from types import TracebackType
from urllib.parse import unquote, urlsplit

from portal.config import ConfigError
from portal.domain.mail_codes import code_of
from portal.gateways.outcomes import Accepted, NotProcessed, Outcome, Refused, Unknown

_TIMEOUT_SECONDS = 20.0
_ABOUT_US = (530, 534, 535, 538)
"""Sign-in is required, too weak, failed or needs TLS (RFC 4954 6)."""
_TOO_BIG = "5.3.4"
AWAY = "away"
"""The code of an outcome that is the server's and not the mail's: the next mail would fare no better."""
_WHY: dict[type[Exception], str] = {
    smtplib.SMTPServerDisconnected: "it closed the connection at once.",
    ssl.SSLError: "a safe connection (TLS) could not be agreed on.",
    ConnectionRefusedError: "nothing listens at its address.",
    TimeoutError: "it did not answer in time.",
    socket.gaierror: "its name is not known.",
}


@dataclass(frozen=True)
class Mail:
    """`message_id` is the same at every attempt, so that a receiver can drop a copy (RFC 5322 3.6.4)."""

    to: str
    name: str
    subject: str
    text: str
    html: str
    message_id: str


@dataclass(frozen=True)
class SmtpAddress:
    """`smtp://user:password@host:port`, with STARTTLS where the server offers it; `smtps://` is TLS from the start."""

    host: str
    port: int
    tls: bool
    user: str
    password: str


def parse_url(url: str) -> SmtpAddress:
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ConfigError("PORTAL_SMTP_URL must look like smtp://host:25 or smtps://user:password@host:465.")
    tls = parts.scheme == "smtps"
    port = parts.port or (465 if tls else 25)
    return SmtpAddress(parts.hostname, port, tls, unquote(parts.username or ""), unquote(parts.password or ""))


class SmtpGateway:
    """A context: the connection is made with the first message, and again after it broke."""

    def __init__(self, url: str, mail_from: str) -> None:
        self._address = parse_url(url)
        self._from = mail_from
        self._connection: smtplib.SMTP | None = None

    def __enter__(self) -> "SmtpGateway":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._close()

    def deliver(self, mail: Mail) -> Outcome:
        try:
            connection = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            return NotProcessed(f"The mail server could not be reached: {_why(error)}", code=AWAY)
        return self._hand_over(connection, mail)

    def _hand_over(self, connection: smtplib.SMTP, mail: Mail) -> Outcome:
        try:
            message = compose(mail, self._from)
        except (ValueError, HeaderParseError) as error:
            return Refused("address", f"This is not an address mail can be sent to ({error}).")
        try:
            connection.send_message(message)
        except smtplib.SMTPNotSupportedError as error:
            return Refused("address", f"The mail server cannot take this address ({error}).")
        except smtplib.SMTPSenderRefused as error:
            self._close()
            return _sender_refused(error.smtp_code, error.smtp_error)
        except smtplib.SMTPHeloError as error:
            self._close()
            return _about_us(error.smtp_code, error.smtp_error)
        except smtplib.SMTPRecipientsRefused as error:
            self._reset()
            return _refusal(*next(iter(error.recipients.values())))
        except smtplib.SMTPResponseException as error:
            self._close()
            return _refusal(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            return Unknown(f"The mail server did not confirm the message ({type(error).__name__}).")
        return Accepted(mail.message_id)

    def _connect(self) -> smtplib.SMTP:
        if self._connection is None:
            self._connection = _open(self._address)
        return self._connection

    def _reset(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rset()
        except (OSError, smtplib.SMTPException):
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def compose(mail: Mail, mail_from: str) -> EmailMessage:
    """Text and HTML in one message, marked as sent by a machine (RFC 3834) so that holiday replies stay away."""
    message = EmailMessage()
    message["From"] = mail_from
    message["To"] = str(Address(display_name=mail.name, addr_spec=mail.to))
    message["Subject"] = mail.subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = mail.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def host_of(mail_from: str) -> str:
    """The right-hand side of our Message-IDs."""
    return parseaddr(mail_from)[1].rpartition("@")[2] or "localhost.localdomain"


def dial(address: SmtpAddress, timeout_seconds: float) -> smtplib.SMTP:
    """Connected and greeted. Raises `OSError` or `SMTPException`."""
    if address.tls:
        return smtplib.SMTP_SSL(
            address.host, address.port, timeout=timeout_seconds, context=ssl.create_default_context()
        )
    connection = smtplib.SMTP(address.host, address.port, timeout=timeout_seconds)
    connection.ehlo()
    return connection


def encrypt(connection: smtplib.SMTP) -> bool:
    """STARTTLS where the server offers it; whether the connection is encrypted then. Raises like `dial`."""
    if isinstance(connection, smtplib.SMTP_SSL):
        return True
    if not connection.has_extn("starttls"):
        return False
    connection.starttls(context=ssl.create_default_context())
    return True


def _open(address: SmtpAddress) -> smtplib.SMTP:
    connection = dial(address, _TIMEOUT_SECONDS)
    encrypt(connection)
    if address.user:
        connection.login(address.user, address.password)
    return connection


def _about_us(code: int, words: bytes | str) -> Outcome:
    """The server refuses us, not the recipient: the mail waits until that is mended, and none is lost."""
    return NotProcessed(f"The mail server does not take mail from us: {_text(words)}", None, code, AWAY)


def _sender_refused(code: int, words: bytes | str) -> Outcome:
    """At the sender the server is told of the size as well, and may refuse that: it is about this mail alone."""
    too_big = code == 552 or code_of(code, _text(words)).endswith(".3.4")
    return Refused(_TOO_BIG, _text(words), code) if too_big else _about_us(code, words)


def _refusal(code: int, words: bytes | str) -> Outcome:
    """4xx asks to come back, 5xx is final (RFC 5321 4.2.1)."""
    text = _text(words)
    if code in _ABOUT_US:
        return _about_us(code, words)
    if 400 <= code < 500:
        return NotProcessed(f"The mail server asked to wait: {text}", None, code, code_of(code, text))
    return Refused(code_of(code, text), text, code)


def _text(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else str(words)


def _why(error: Exception) -> str:
    """In a person's words: what the server said, else what went wrong on the way to it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code} {_text(error.smtp_error)}".rstrip()
    for kind, words in _WHY.items():
        if isinstance(error, kind):
            return words
    return f"the connection failed ({type(error).__name__})."


def send_one(url: str, mail_from: str, mail: Mail) -> Outcome:
    with SmtpGateway(url, mail_from) as gateway:
        return gateway.deliver(mail)
