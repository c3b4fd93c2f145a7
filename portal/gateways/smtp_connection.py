"""Connects to the mail server, starts TLS and signs in. A password is only sent over TLS or to this machine."""

import base64
import binascii
import hmac
import smtplib
import socket
import ssl
from collections.abc import Callable

from portal.core.rules.smtp_url import SmtpServer

_AUTH_SUCCEEDED = (235, 503)
_AUTH_CONTINUE = 334
_MECHANISM_UNSUPPORTED = (500, 502, 504, 534)
"""The mechanism is unknown or not allowed; another one may work (RFC 4954 6)."""


class StartTlsNotOffered(smtplib.SMTPException):
    """The connection must be encrypted, but STARTTLS is missing: an attacker in between may have removed it."""


class AuthNotOffered(smtplib.SMTPException):
    """A user is configured, but the server offers no authentication mechanism that we support."""


_CONNECTION_ERRORS: dict[type[Exception], str] = {
    socket.gaierror: "its host name is unknown",
    TimeoutError: "it did not answer in time",
    ConnectionRefusedError: "nothing listens there",
    ssl.SSLCertVerificationError: "the TLS handshake failed: its certificate is not trusted",
    ssl.SSLError: "the TLS handshake failed",
    StartTlsNotOffered: "it offers no STARTTLS, which is required",
    AuthNotOffered: "it offers no sign-in method that the portal supports",
    smtplib.SMTPServerDisconnected: "it closed the connection",
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
    """Sign in with UTF-8 (RFC 4616), which the standard library does not support. Raises `SMTPException`."""
    offered = connection.esmtp_features.get("auth", "").upper().split()
    reply = (0, b"")
    for name, authenticate in _MECHANISMS.items():
        if name in offered:
            reply = authenticate(connection, user, password)
            if reply[0] in _AUTH_SUCCEEDED:
                return
            if reply[0] not in _MECHANISM_UNSUPPORTED:
                break
    if not reply[0]:
        raise AuthNotOffered
    raise smtplib.SMTPAuthenticationError(*reply)


def _plain(connection: smtplib.SMTP, user: str, password: str) -> tuple[int, bytes]:
    secret = f"\0{user}\0{password}"
    return connection.docmd("AUTH", f"PLAIN {_base64(secret.encode())}")


def _login(connection: smtplib.SMTP, user: str, password: str) -> tuple[int, bytes]:
    code, reply = connection.docmd("AUTH", "LOGIN")
    for secret in (user, password):
        if code != _AUTH_CONTINUE:
            break
        code, reply = connection.docmd(_base64(secret.encode()))
    return code, reply


def _cram_md5(connection: smtplib.SMTP, user: str, password: str) -> tuple[int, bytes]:
    """RFC 2195."""
    code, reply = connection.docmd("AUTH", "CRAM-MD5")
    if code != _AUTH_CONTINUE:
        return code, reply
    try:
        challenge = base64.b64decode(reply, validate=False)
    except binascii.Error:
        challenge = b""
    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    return connection.docmd(_base64(f"{user} {digest}".encode()))


_MECHANISMS: dict[str, Callable[[smtplib.SMTP, str, str], tuple[int, bytes]]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


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
