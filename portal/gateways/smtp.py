"""Sends email by SMTP, many messages over one connection."""

import re
import smtplib
from collections.abc import Sequence
from dataclasses import replace

import structlog

from portal.core.config import ConfigError
from portal.core.rules.email_address import EmailAddressError, Mailbox, needs_smtputf8, parse_mailbox, to_wire_format
from portal.core.rules.smtp_url import SmtpServer, SmtpUrlError, parse_smtp_url
from portal.gateways.outcomes import Accepted, NotSent, Outcome, Rejected, Unknown
from portal.gateways.rules.email_message import OutgoingEmail, compose_email
from portal.gateways.rules.smtp_codes import is_ambiguous_rejection, smtp_status_code
from portal.gateways.smtp_connection import decode_reply, describe_smtp_error, open_connection

_TIMEOUT_SECONDS = 20.0
_AUTH_FAILURES = (530, 534, 535, 538)
"""Sign-in is required, too weak, failed or needs TLS (RFC 4954 6)."""
_CLOSING = 421
_POSITIVE, _INTERMEDIATE = 2, 3
"""First digits of successful replies (RFC 5321 4.2.1)."""
_INVALID_REPLY = "The mail server sent an invalid reply."
_RECIPIENT_REJECTED = "550"
_MAX_OTHER_RECIPIENTS = 4
_TOO_BIG, _SMTPUTF8_UNSUPPORTED = "5.3.4", "5.6.7"
_log = structlog.get_logger(__name__)
SERVER_DOWN = "server_down"
"""The code of an outcome that concerns the server, so that the next email would fail as well."""


class _ConnectionEnded(Exception):
    """The connection ended before the server had the content. `outcome` applies if a new connection ends so too.

    `is_timeout`: the server did not reply; a new connection is not tried, because the email's lease would expire.
    """

    def __init__(self, outcome: Outcome, is_timeout: bool = False) -> None:
        super().__init__()
        self.outcome = outcome
        self.is_timeout = is_timeout


def parse_url(url: str) -> SmtpServer:
    try:
        return parse_smtp_url(url)
    except SmtpUrlError as error:
        raise ConfigError(str(error)) from error


def parse_sender(mail_from: str) -> Mailbox:
    try:
        return parse_mailbox(mail_from)
    except EmailAddressError as error:
        raise ConfigError(f"PORTAL_MAIL_FROM cannot be used: {error}") from error


def sender_domain(mail_from: str) -> str:
    """The domain of the sender's address, for Message-IDs."""
    return parse_sender(mail_from).address.rpartition("@")[2]


class SmtpGateway:
    """A context manager that connects with the first message, and again after the connection ended."""

    def __init__(self, url: str, mail_from: str) -> None:
        self._address = parse_url(url)
        self._from = parse_sender(mail_from)
        self._connection: smtplib.SMTP | None = None
        self._content_started = False
        self._last_recipient = ""
        self.other_recipients: Sequence[str] = ()
        """Recipients of other pending emails, to tell whether an ambiguous rejection concerns the recipient."""

    def __enter__(self) -> "SmtpGateway":
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    def deliver(self, mail: OutgoingEmail) -> Outcome:
        """Never raises: an error in the portal is neither the recipient's fault nor the server's."""
        self._content_started = False
        try:
            message = compose_email(mail, self._from)
            return self._deliver_with_reconnect(to_wire_format(mail.to), message, mail.message_id)
        except EmailAddressError as error:
            return Rejected("address", str(error))
        except Exception as error:
            _log.exception("unexpected error while sending an email")
            self._close()
            description = f"The portal could not send the email ({type(error).__name__}); see the log."
            return Unknown(description) if self._content_started else NotSent(description, code="portal")

    def _deliver_with_reconnect(self, to: str, message: bytes, message_id: str) -> Outcome:
        """Use the current connection; if it turns out to have ended, use a new one."""
        is_new = self._connection is None
        try:
            connection = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            return NotSent(f"The mail server could not be reached: {describe_smtp_error(error)}", code=SERVER_DOWN)
        try:
            return self._transaction(connection, to, message, message_id)
        except _ConnectionEnded as ended:
            self._close()
            if not is_new and not ended.is_timeout:
                return self._deliver_with_reconnect(to, message, message_id)
            return ended.outcome

    def _transaction(self, connection: smtplib.SMTP, to: str, message: bytes, message_id: str) -> Outcome:
        options = f" SIZE={len(message)}" if connection.has_extn("size") else ""
        if needs_smtputf8(to):
            if not connection.has_extn("smtputf8"):
                return Rejected(
                    _SMTPUTF8_UNSUPPORTED, "It offers no SMTPUTF8, which non-ASCII characters before the @ need."
                )
            connection.command_encoding = "utf-8"
            options += " SMTPUTF8 BODY=8BITMIME"
        code, reply_text = _command(connection, "MAIL", f"FROM:<{self._from.address}>{options}")
        if not _is_positive(code):
            return self._sender_rejection(code, reply_text)
        code, reply_text = _command(connection, "RCPT", f"TO:<{to}>")
        if not _is_positive(code):
            self._reset()
            return self._recipient_rejection(to, code, reply_text)
        code, reply_text = _command(connection, "DATA", expected=_INTERMEDIATE)
        if not _is_positive(code, _INTERMEDIATE):
            self._reset()
            return _rejection(code, reply_text)
        outcome = self._send_content(connection, message, message_id)
        self._last_recipient = to if isinstance(outcome, Accepted) else self._last_recipient
        return outcome

    def _recipient_rejection(self, to: str, code: int, reply_text: str) -> Outcome:
        """An ambiguous rejection is the recipient's fault if the server accepts another recipient, else ours."""
        outcome = _rejection(code, reply_text)
        if not isinstance(outcome, Rejected | NotSent) or outcome.code == SERVER_DOWN:
            return outcome
        if not is_ambiguous_rejection(outcome.code, reply_text) or not self._accepts_other_recipient(to):
            return outcome
        recipient_code = _RECIPIENT_REJECTED if isinstance(outcome, Rejected) else outcome.code
        return replace(outcome, code=recipient_code, is_recipient_fault=True)

    def _accepts_other_recipient(self, to: str) -> bool:
        """Whether the server accepts another recipient now; no email is sent."""
        candidates = (self._last_recipient, *map(_ascii_address, self.other_recipients))
        others = dict.fromkeys(address for address in candidates if address and address != to)
        connection = self._connection
        try:
            if connection is None or _command(connection, "MAIL", f"FROM:<{self._from.address}>")[0] >= 400:
                return False
            replies = (
                _command(connection, "RCPT", f"TO:<{address}>") for address in list(others)[:_MAX_OTHER_RECIPIENTS]
            )
            return any(_is_positive(code) for code, _text in replies)
        except _ConnectionEnded:
            self._close()
            return False
        finally:
            self._reset()

    def _send_content(self, connection: smtplib.SMTP, message: bytes, message_id: str) -> Outcome:
        """From here on, the outcome is unknown until the server confirms it."""
        self._content_started = True
        try:
            connection.send(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")
            code, reply = connection.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            return Unknown(f"The mail server did not confirm the message ({type(error).__name__}).")
        if not _is_valid_reply(code):
            self._close()
            return Unknown(_INVALID_REPLY)
        if code == _CLOSING:
            self._close()
        return Accepted(message_id) if _is_positive(code) else _rejection(code, decode_reply(reply))

    def _connect(self) -> smtplib.SMTP:
        if self._connection is None:
            self._connection = open_connection(self._address, _TIMEOUT_SECONDS)
        return self._connection

    def _sender_rejection(self, code: int, reply_text: str) -> Outcome:
        """MAIL FROM includes the size, so a rejection may concern this email only.

        Some servers reject the sender to end a connection, and accept it on a new one.
        """
        if code == 552 or smtp_status_code(code, reply_text).endswith(".3.4"):
            self._reset()
            return Rejected(_TOO_BIG, reply_text, code)
        raise _ConnectionEnded(_sender_fault(code, reply_text))

    def _reset(self) -> None:
        try:
            if self._connection is not None and self._connection.rset()[0] != 250:
                self._close()
        except (OSError, smtplib.SMTPException):
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _ascii_address(address: str) -> str:
    """The address in wire format; empty if it is invalid or not ASCII."""
    try:
        wire_address = to_wire_format(address)
    except EmailAddressError:
        return ""
    return wire_address if wire_address.isascii() else ""


def _is_valid_reply(code: int, expected: int = _POSITIVE) -> bool:
    """Only the first digit matters (RFC 5321 4.3.2); -1 stands for a reply without a code."""
    return code // 100 in (expected, 4, 5)


def _is_positive(code: int, expected: int = _POSITIVE) -> bool:
    return code // 100 == expected


def _command(connection: smtplib.SMTP, verb: str, arguments: str = "", expected: int = _POSITIVE) -> tuple[int, str]:
    """Raises `_ConnectionEnded` if the server hangs up, announces it (RFC 5321 3.8), or sends an invalid reply."""
    try:
        code, reply = connection.docmd(verb, arguments)
    except (OSError, smtplib.SMTPException) as error:
        message = f"The mail server did not accept the message: {describe_smtp_error(error)}"
        is_timeout = isinstance(error.__context__ or error, TimeoutError)
        raise _ConnectionEnded(NotSent(message, code=str(_CLOSING)), is_timeout) from error
    if code == _CLOSING:
        raise _ConnectionEnded(_rejection(code, decode_reply(reply)))
    if not _is_valid_reply(code, expected):
        raise _ConnectionEnded(NotSent(_INVALID_REPLY, code=SERVER_DOWN))
    return code, decode_reply(reply)


def _sender_fault(code: int, reply_text: str) -> Outcome:
    """The server rejects us, not the recipient: the email waits until that is fixed."""
    return NotSent(f"The mail server does not accept our email: {reply_text}", None, code, SERVER_DOWN)


def _rejection(code: int, reply_text: str) -> Outcome:
    """4xx is temporary, 5xx is permanent (RFC 5321 4.2.1)."""
    if code in _AUTH_FAILURES:
        return _sender_fault(code, reply_text)
    if 400 <= code < 500:
        return NotSent(f"The mail server asked to wait: {reply_text}", None, code, smtp_status_code(code, reply_text))
    return Rejected(smtp_status_code(code, reply_text), reply_text, code)


def send_mail(url: str, mail_from: str, mail: OutgoingEmail) -> Outcome:
    with SmtpGateway(url, mail_from) as gateway:
        return gateway.deliver(mail)
