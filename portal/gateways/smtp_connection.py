"""Connects to the mail server, starts TLS and signs in. A password is only sent over TLS or to this machine."""

import base64
import smtplib
import socket
import ssl

from portal.core.rules.smtp_url import SmtpServer
from portal.gateways.checked_address import ForbiddenAddress, check_connected

_AUTH_SUCCEEDED = (235, 503)


class StartTlsNotOffered(smtplib.SMTPException):
    """The connection must be encrypted, but STARTTLS is missing: an attacker in between may have removed it."""


_CONNECTION_ERRORS: dict[type[Exception], str] = {
    ForbiddenAddress: "its address is link-local or reserved, where no mail server can be",
    socket.gaierror: "its host name is unknown",
    TimeoutError: "it did not answer in time",
    ConnectionRefusedError: "nothing listens there",
    ssl.SSLCertVerificationError: "the TLS handshake failed: its certificate is not trusted",
    ssl.SSLError: "the TLS handshake failed",
    StartTlsNotOffered: "it offers no STARTTLS, which is required",
    smtplib.SMTPServerDisconnected: "it closed the connection",
    smtplib.SMTPException: "it offers no sign-in method that the portal supports",
}


def open_connection(address: SmtpServer, timeout_seconds: float) -> smtplib.SMTP:
    """Connect, start TLS and sign in. Raises `OSError` or `SMTPException`, and leaves nothing open then."""
    connection = connect_smtp(address, timeout_seconds)
    try:
        connection, _ = start_tls(connection, address, timeout_seconds)
        if address.user:
            authenticate_smtp(connection, address.user, address.password)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_smtp(address: SmtpServer, timeout_seconds: float) -> smtplib.SMTP:
    """Connect and send EHLO. Raises `OSError` or `SMTPException`."""
    if address.tls:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            address.host, address.port, timeout=timeout_seconds, context=_context(address)
        )
    else:
        connection = smtplib.SMTP(address.host, address.port, timeout=timeout_seconds)
    check_connected(connection.sock)
    connection.ehlo_or_helo_if_needed()
    return connection


def start_tls(connection: smtplib.SMTP, address: SmtpServer, timeout_seconds: float) -> tuple[smtplib.SMTP, bool]:
    """The connection to continue with, and whether it is encrypted. Raises like `connect_smtp`.

    If TLS fails on a server on this machine, the connection continues without it.
    """
    if address.tls:
        return connection, True
    if address.starttls == "never" or not connection.has_extn("starttls"):
        if address.requires_tls:
            raise StartTlsNotOffered
        return connection, False
    try:
        connection.starttls(context=_context(address))
        connection.ehlo_or_helo_if_needed()
    except (OSError, smtplib.SMTPException):
        connection.close()
        if address.requires_tls or not address.is_loopback:
            raise
        return connect_smtp(address, timeout_seconds), False
    return connection, True


def _context(address: SmtpServer) -> ssl.SSLContext:
    """Verify certificates with the system's authorities and `ca_file`, except on this machine."""
    context = ssl.create_default_context()
    if address.ca_file:
        context.load_verify_locations(address.ca_file)
    if address.is_loopback:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def authenticate_smtp(connection: smtplib.SMTP, user: str, password: str) -> None:
    """Raises `SMTPException`. Only PLAIN has UTF-8 (RFC 4616); the standard library signs in with ASCII alone."""
    if f"{user}{password}".isascii():
        connection.login(user, password)
        return
    secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    code, reply = connection.docmd("AUTH", f"PLAIN {secret}")
    if code not in _AUTH_SUCCEEDED:
        raise smtplib.SMTPAuthenticationError(code, reply)


def decode_reply(reply: bytes | str) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)


def describe_smtp_error(error: Exception) -> str:
    """The server's reply, else what went wrong with the connection, to follow a colon."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it answered {error.smtp_code} {decode_reply(error.smtp_error)}".rstrip()
    return f"{describe_connection_error(error)}."


def describe_connection_error(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, TimeoutError):
        error = error.__context__
    descriptions = (text for kind, text in _CONNECTION_ERRORS.items() if isinstance(error, kind))
    return next(descriptions, f"the connection failed: {type(error).__name__}")
