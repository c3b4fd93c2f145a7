"""Mail by SMTP: one connection for many messages."""

import re
import smtplib
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType

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
"""First digits of the answers that mean yes (RFC 5321 4.2.1)."""
_INVALID_REPLY = "The mail server did not answer as mail servers do."
_RECIPIENT_REJECTED = "550"
_MAX_OTHER_RECIPIENTS = 4
_TOO_BIG, _SMTPUTF8_UNSUPPORTED = "5.3.4", "5.6.7"
_log = structlog.get_logger(__name__)
SERVER_DOWN = "away"
"""The code of an outcome that is the server's and not the mail's: the next mail would fare no better."""


class _ConnectionEnded(Exception):
    """The connection takes no more mails, and this one was not under way. `outcome`: of a new one that ends so too.

    `is_silent`: the server was waited for in vain, and is not asked again: the mail's lease would run out.
    """

    def __init__(self, outcome: Outcome, is_silent: bool = False) -> None:
        super().__init__()
        self.outcome = outcome
        self.is_silent = is_silent


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
    """The right-hand side of our Message-IDs."""
    return parse_sender(mail_from).address.rpartition("@")[2]


class SmtpGateway:
    """A context: the connection is made with the first message, and again after it ended."""

    def __init__(self, url: str, mail_from: str) -> None:
        self._address = parse_url(url)
        self._from = parse_sender(mail_from)
        self._connection: smtplib.SMTP | None = None
        self._under_way = False
        self._taken = ""
        self.other_recipients: Sequence[str] = ()
        """Other recipients whose mail is due too: to ask about when a refusal does not say whom it means."""

    def __enter__(self) -> "SmtpGateway":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._close()

    def deliver(self, mail: OutgoingEmail) -> Outcome:
        """Never raises: what breaks in the portal itself is neither the recipient's fault nor the server's."""
        try:
            message = compose_email(mail, self._from)
        except EmailAddressError as error:
            return Rejected("address", str(error))
        except Exception as error:
            _log.exception("could not build an email message")
            return NotSent(f"The mail could not be written ({type(error).__name__}); the log says why.", code="compose")
        self._under_way = False
        try:
            return self._deliver_with_reconnect(to_wire_format(mail.to), message, mail.message_id)
        except Exception as error:
            _log.exception("unexpected error while sending an email")
            self._close()
            words = f"The portal could not send it ({type(error).__name__}); its log says why."
            return Unknown(words) if self._under_way else NotSent(words, code="portal")

    def _deliver_with_reconnect(self, to: str, message: bytes, message_id: str) -> Outcome:
        """Over the connection that is there; where that turns out to have ended, over a new one."""
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
            if not is_new and not ended.is_silent:
                return self._deliver_with_reconnect(to, message, message_id)
            return ended.outcome

    def _transaction(self, connection: smtplib.SMTP, to: str, message: bytes, message_id: str) -> Outcome:
        options = f" SIZE={len(message)}" if connection.has_extn("size") else ""
        if needs_smtputf8(to):
            if not connection.has_extn("smtputf8"):
                return Rejected(
                    _SMTPUTF8_UNSUPPORTED, "It offers no SMTPUTF8, which letters beyond ASCII before the @ need."
                )
            connection.command_encoding = "utf-8"
            options += " SMTPUTF8 BODY=8BITMIME"
        code, words = _command(connection, "MAIL", f"FROM:<{self._from.address}>{options}")
        if not _is_positive(code):
            return self._sender_refused(code, words)
        code, words = _command(connection, "RCPT", f"TO:<{to}>")
        if not _is_positive(code):
            self._reset()
            return self._recipient_refused(to, code, words)
        code, words = _command(connection, "DATA", yes=_INTERMEDIATE)
        if not _is_positive(code, _INTERMEDIATE):
            self._reset()
            return _refusal(code, words)
        outcome = self._send_content(connection, message, message_id)
        self._taken = to if isinstance(outcome, Accepted) else self._taken
        return outcome

    def _recipient_refused(self, to: str, code: int, words: str) -> Outcome:
        """What names neither the recipient nor us is the recipient's where others are taken, and ours where none is."""
        outcome = _refusal(code, words)
        if not isinstance(outcome, Rejected | NotSent) or outcome.code == SERVER_DOWN:
            return outcome
        if not is_ambiguous_rejection(outcome.code, words) or not self._accepts_other_recipient(to):
            return outcome
        known = _RECIPIENT_REJECTED if isinstance(outcome, Rejected) else outcome.code
        return replace(outcome, code=known, is_recipient_fault=True)

    def _accepts_other_recipient(self, to: str) -> bool:
        """Whether the server takes a mail to somebody else now; none is sent."""
        others = dict.fromkeys(
            each for each in (self._taken, *map(_ascii_address, self.other_recipients)) if each and each != to
        )
        connection = self._connection
        try:
            if connection is None or _command(connection, "MAIL", f"FROM:<{self._from.address}>")[0] >= 400:
                return False
            asked = (_command(connection, "RCPT", f"TO:<{each}>")[0] for each in list(others)[:_MAX_OTHER_RECIPIENTS])
            return any(map(_is_positive, asked))
        except _ConnectionEnded:
            self._close()
            return False
        finally:
            self._reset()

    def _send_content(self, connection: smtplib.SMTP, message: bytes, message_id: str) -> Outcome:
        """From here on nobody but the server knows whether it has the mail, until it says so."""
        self._under_way = True
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
        return Accepted(message_id) if _is_positive(code) else _refusal(code, decode_reply(reply))

    def _connect(self) -> smtplib.SMTP:
        if self._connection is None:
            self._connection = open_connection(self._address, _TIMEOUT_SECONDS)
        return self._connection

    def _sender_refused(self, code: int, words: str) -> Outcome:
        """At the sender the server is told of the size as well, and may refuse that: it is about this mail alone.

        Some refuse the sender when they have had enough of a connection; they take it by a new one.
        """
        if code == 552 or smtp_status_code(code, words).endswith(".3.4"):
            self._reset()
            return Rejected(_TOO_BIG, words, code)
        raise _ConnectionEnded(_sender_fault(code, words))

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
    """Empty for one that would need more than ASCII, or cannot be sent to at all."""
    try:
        found = to_wire_format(address)
    except EmailAddressError:
        return ""
    return found if found.isascii() else ""


def _is_valid_reply(code: int, yes: int = _POSITIVE) -> bool:
    """Of an answer that nobody expects the first digit counts (RFC 5321 4.3.2); -1 stands for one without a number."""
    return code // 100 in (yes, 4, 5)


def _is_positive(code: int, yes: int = _POSITIVE) -> bool:
    return code // 100 == yes


def _command(connection: smtplib.SMTP, verb: str, words: str = "", yes: int = _POSITIVE) -> tuple[int, str]:
    """Raises `_Ended` when the server hangs up, says that it is about to (RFC 5321 3.8), or answers something else."""
    try:
        code, reply = connection.docmd(verb, words)
    except (OSError, smtplib.SMTPException) as error:
        words = f"The mail server did not take the message: {describe_smtp_error(error)}"
        is_silent = isinstance(error.__context__ or error, TimeoutError)
        raise _ConnectionEnded(NotSent(words, code=str(_CLOSING)), is_silent) from error
    if code == _CLOSING:
        raise _ConnectionEnded(_refusal(code, decode_reply(reply)))
    if not _is_valid_reply(code, yes):
        raise _ConnectionEnded(NotSent(_INVALID_REPLY, code=SERVER_DOWN))
    return code, decode_reply(reply)


def _sender_fault(code: int, words: str) -> Outcome:
    """The server refuses us, not the recipient: the mail waits until that is mended, and none is lost."""
    return NotSent(f"The mail server does not take mail from us: {words}", None, code, SERVER_DOWN)


def _refusal(code: int, words: str) -> Outcome:
    """4xx asks to come back, 5xx is final (RFC 5321 4.2.1)."""
    if code in _AUTH_FAILURES:
        return _sender_fault(code, words)
    if 400 <= code < 500:
        return NotSent(f"The mail server asked to wait: {words}", None, code, smtp_status_code(code, words))
    return Rejected(smtp_status_code(code, words), words, code)


def send_mail(url: str, mail_from: str, mail: OutgoingEmail) -> Outcome:
    with SmtpGateway(url, mail_from) as gateway:
        return gateway.deliver(mail)
