"""Knock at the mail server: connect, encrypt, sign in, name our sender, and leave without handing anything over."""

import re
import smtplib
import socket
import ssl
from dataclasses import dataclass, field, replace
from email.utils import parseaddr
from ipaddress import ip_address

from portal.domain.diagnosis_mail import MailKnock, Step
from portal.gateways.smtp import SmtpAddress, dial, encrypt, parse_url

_TIMEOUT_SECONDS = 4.0
_LONGEST_WORDS = 120
_FAULTS: dict[type[BaseException], str] = {
    socket.gaierror: "there is no such host",
    TimeoutError: "it did not answer in time",
    ConnectionRefusedError: "nobody listens there",
    ssl.SSLCertVerificationError: "its certificate is not trusted",
    smtplib.SMTPServerDisconnected: "it hung up",
}


@dataclass
class _Visit:
    """How far the knock came."""

    address: SmtpAddress
    found: MailKnock
    step: Step = "connect"
    connection: smtplib.SMTP | None = field(default=None, repr=False)


def knock(url: str, mail_from: str) -> MailKnock:
    address = parse_url(url)
    visit = _Visit(address, MailKnock(None, here=_is_here(address.host), login=bool(address.user)))
    try:
        _walk(visit, parseaddr(mail_from)[1])
    except (OSError, smtplib.SMTPException) as error:
        step: Step = "encrypt" if isinstance(error, ssl.SSLError) else visit.step
        return replace(visit.found, broke_at=step, words=_words(error))
    finally:
        if visit.connection is not None:
            visit.connection.close()
    return visit.found


def _walk(visit: _Visit, sender: str) -> None:
    connection = visit.connection = dial(visit.address, _TIMEOUT_SECONDS)
    visit.step = "encrypt"
    visit.found = replace(visit.found, encrypted=encrypt(connection))
    visit.step = "login"
    connection.ehlo_or_helo_if_needed()
    visit.found = replace(visit.found, wants_login=connection.has_extn("auth"))
    if visit.address.user:
        connection.login(visit.address.user, visit.address.password)
    visit.step = "sender"
    code, words = connection.mail(sender)
    if code != 250:
        raise smtplib.SMTPResponseException(code, words)
    connection.rset()


def _words(error: BaseException) -> str:
    """The server's own words, without addresses; or what kind of fault it was."""
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        plain = re.sub(r"\S+@\S+", "•••", " ".join(f"{text}".split()))
        return f"{error.smtp_code} {plain}"[:_LONGEST_WORDS].strip()
    return next((words for kind, words in _FAULTS.items() if isinstance(error, kind)), type(error).__name__)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
