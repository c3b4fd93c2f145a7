"""Probes the mail server: connects, starts TLS, signs in and names the sender, but sends nothing."""

import contextlib
import re
import smtplib
import ssl
from dataclasses import dataclass, field, replace

from portal.core.rules.smtp_url import SmtpServer
from portal.gateways import smtp_connection
from portal.gateways.rules.smtp_probe_result import SmtpProbe, SmtpStep
from portal.gateways.smtp import parse_sender, parse_url

_TIMEOUT_SECONDS = 4.0
_MAX_TEXT_LENGTH = 120


@dataclass
class _ProbeState:
    """How far the probe has come."""

    address: SmtpServer
    result: SmtpProbe
    step: SmtpStep = "connect"
    connection: smtplib.SMTP | None = field(default=None, repr=False)


def probe_smtp(url: str, mail_from: str) -> SmtpProbe:
    address, sender = parse_url(url), parse_sender(mail_from)
    probe = _ProbeState(address, SmtpProbe(None, is_local=address.is_loopback, has_login=bool(address.user)))
    try:
        _run_probe(probe, sender.address)
    except (OSError, smtplib.SMTPException) as error:
        step: SmtpStep = "encrypt" if isinstance(error, ssl.SSLError) else probe.step
        return replace(probe.result, failed_step=step, message=_failure_text(error))
    finally:
        if probe.connection is not None:
            probe.connection.close()
    return probe.result


def offers_smtputf8(url: str) -> bool | None:
    """Whether the server supports non-ASCII local parts (RFC 6531); None if it cannot be reached."""
    address = parse_url(url)
    try:
        connection = smtp_connection.connect_smtp(address, _TIMEOUT_SECONDS)
        connection, _ = smtp_connection.start_tls(connection, address, _TIMEOUT_SECONDS)
    except (OSError, smtplib.SMTPException):
        return None
    with contextlib.closing(connection):
        return connection.has_extn("smtputf8")


def _run_probe(probe: _ProbeState, sender: str) -> None:
    address = probe.address
    probe.connection = smtp_connection.connect_smtp(address, _TIMEOUT_SECONDS)
    probe.step = "encrypt"
    connection, is_encrypted = smtp_connection.start_tls(probe.connection, address, _TIMEOUT_SECONDS)
    probe.connection = connection
    probe.step = "login"
    probe.result = replace(probe.result, encrypted=is_encrypted, offers_login=connection.has_extn("auth"))
    if address.user:
        smtp_connection.authenticate_smtp(connection, address.user, address.password)
    probe.step = "sender"
    code, reply = connection.docmd("MAIL", f"FROM:<{sender}>")
    if code != 250:
        raise smtplib.SMTPResponseException(code, reply)
    connection.rset()


def _failure_text(error: Exception) -> str:
    """The server's reply without email addresses, or the kind of error."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = re.sub(r"\S+@\S+", "•••", " ".join(smtp_connection.decode_reply(error.smtp_error).split()))
        return f"{error.smtp_code} {reply}"[:_MAX_TEXT_LENGTH].strip()
    return smtp_connection.describe_connection_error(error)
