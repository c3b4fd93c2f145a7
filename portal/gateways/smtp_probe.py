"""Knock at the mail server: connect, encrypt, sign in, name our sender, and leave without handing anything over."""

import contextlib
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass, field, replace

from portal.core.rules.smtp_url import SmtpServer
from portal.gateways.rules.smtp_probe_result import SmtpProbe, SmtpStep
from portal.gateways.smtp import parse_sender, parse_url
from portal.gateways.smtp_connection import (
    AuthNotOffered,
    StartTlsNotOffered,
    authenticate_smtp,
    connect_smtp,
    decode_reply,
    start_tls,
)

_TIMEOUT_SECONDS = 4.0
_MAX_TEXT_LENGTH = 120
_FAULTS: dict[type[BaseException], str] = {
    socket.gaierror: "there is no such host",
    TimeoutError: "it did not answer in time",
    ConnectionRefusedError: "nobody listens there",
    ssl.SSLCertVerificationError: "its certificate is not trusted",
    StartTlsNotOffered: "it offers no STARTTLS",
    AuthNotOffered: "it offers no way of signing in that the portal knows",
    smtplib.SMTPServerDisconnected: "it hung up",
}


@dataclass
class _ProbeState:
    """How far the knock came."""

    address: SmtpServer
    result: SmtpProbe
    step: SmtpStep = "connect"
    connection: smtplib.SMTP | None = field(default=None, repr=False)


def probe_smtp(url: str, mail_from: str) -> SmtpProbe:
    address, sender = parse_url(url), parse_sender(mail_from)
    visit = _ProbeState(address, SmtpProbe(None, is_local=address.is_loopback, has_login=bool(address.user)))
    try:
        _run_probe(visit, sender.address)
    except (OSError, smtplib.SMTPException) as error:
        step: SmtpStep = "encrypt" if isinstance(error, ssl.SSLError) else visit.step
        return replace(visit.result, failed_step=step, message=_failure_text(error))
    finally:
        if visit.connection is not None:
            visit.connection.close()
    return visit.result


def offers_smtputf8(url: str) -> bool | None:
    """Whether addresses may have letters beyond ASCII before the @ (RFC 6531); None when the server does not say."""
    address = parse_url(url)
    try:
        connection, _ = start_tls(connect_smtp(address, _TIMEOUT_SECONDS), address, _TIMEOUT_SECONDS)
    except (OSError, smtplib.SMTPException):
        return None
    with contextlib.closing(connection):
        return connection.has_extn("smtputf8")


def _run_probe(visit: _ProbeState, sender: str) -> None:
    address = visit.address
    visit.connection = connect_smtp(address, _TIMEOUT_SECONDS)
    visit.step = "encrypt"
    connection, is_encrypted = start_tls(visit.connection, address, _TIMEOUT_SECONDS)
    visit.connection = connection
    visit.step = "has_login"
    visit.result = replace(visit.result, encrypted=is_encrypted, offers_login=connection.has_extn("auth"))
    if address.user:
        authenticate_smtp(connection, address.user, address.password)
    visit.step = "sender"
    code, words = connection.docmd("MAIL", f"FROM:<{sender}>")
    if code != 250:
        raise smtplib.SMTPResponseException(code, words)
    connection.rset()


def _failure_text(error: BaseException) -> str:
    """The server's own words, without addresses; or what kind of fault it was."""
    if isinstance(error, smtplib.SMTPResponseException):
        plain = re.sub(r"\S+@\S+", "•••", " ".join(decode_reply(error.smtp_error).split()))
        return f"{error.smtp_code} {plain}"[:_MAX_TEXT_LENGTH].strip()
    return next((words for kind, words in _FAULTS.items() if isinstance(error, kind)), type(error).__name__)
