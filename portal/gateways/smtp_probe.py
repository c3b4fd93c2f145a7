"""Probes the mail server: connects, starts TLS, signs in and names the sender, but sends nothing."""

import contextlib
import re
import smtplib
import ssl

from portal.core.rules.smtp_url import SmtpServer
from portal.gateways import smtp_connection
from portal.gateways.rules.smtp_probe_result import SmtpProbe
from portal.gateways.smtp import parse_sender, parse_url

_TIMEOUT_SECONDS = 4.0
_MAX_TEXT_LENGTH = 120


def probe_smtp(url: str, mail_from: str) -> SmtpProbe:
    address, sender = parse_url(url), parse_sender(mail_from)
    probe = SmtpProbe("connect", is_local=address.is_loopback, has_login=bool(address.user))
    try:
        with contextlib.ExitStack() as connections:
            _run_steps(probe, address, sender.address, connections)
    except (OSError, smtplib.SMTPException) as error:
        probe.failed_step = "encrypt" if isinstance(error, ssl.SSLError) else probe.failed_step
        probe.message = _failure_text(error)
    return probe


def _run_steps(probe: SmtpProbe, address: SmtpServer, sender: str, connections: contextlib.ExitStack) -> None:
    """`connections` gets what is to be closed: `start_tls` may replace the connection."""
    connection = smtp_connection.connect_smtp(address, _TIMEOUT_SECONDS)
    connections.callback(connection.close)
    probe.failed_step = "encrypt"
    connection, probe.encrypted = smtp_connection.start_tls(connection, address, _TIMEOUT_SECONDS)
    connections.callback(connection.close)
    probe.failed_step, probe.offers_login = "login", connection.has_extn("auth")
    if address.user:
        smtp_connection.authenticate_smtp(connection, address.user, address.password)
    probe.failed_step = "sender"
    code, reply = connection.docmd("MAIL", f"FROM:<{sender}>")
    if code != 250:
        raise smtplib.SMTPResponseException(code, reply)
    connection.rset()
    probe.failed_step = None


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


def _failure_text(error: Exception) -> str:
    """The server's reply without email addresses, or the kind of error."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = re.sub(r"\S+@\S+", "•••", " ".join(smtp_connection.decode_reply(error.smtp_error).split()))
        return f"{error.smtp_code} {reply}"[:_MAX_TEXT_LENGTH].strip()
    return smtp_connection.describe_connection_error(error)
