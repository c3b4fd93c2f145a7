"""The address of the mail server (`PORTAL_SMTP_URL`), and when a connection to it has to be encrypted."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import idna

_FORMAT_HELP = (
    "PORTAL_SMTP_URL must look like smtp://host:25 or smtps://user:password@host:465. "
    "In user and password, write % as %25, / as %2F, ? as %3F, # as %23, : as %3A and @ as %40."
)
_ENCODING_HELP = "PORTAL_SMTP_URL: write letters such as ü in UTF-8, or as %C3%BC."
_STARTTLS = ("offered", "always", "never")
_PORTS = {"smtp": 25, "smtps": 465}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_T = TypeVar("_T")


class SmtpUrlError(ValueError):
    """The address cannot be used; the text names the setting and the way out, and never shows the password."""


@dataclass(frozen=True)
class SmtpServer:
    """`tls`: from the start (smtps). `starttls`: always, never, or where the server offers it. `ca_file`: a certificate
    authority of our own, in PEM, beside those of the system.

    A user's password leaves without TLS for a server on this machine only.
    """

    host: str
    port: int
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: str = "offered"
    ca_file: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent stays on this machine: then nothing has to be encrypted, nor any certificate trusted."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in ("localhost", "localhost.localdomain", "ip6-localhost")

    @property
    def requires_tls(self) -> bool:
        return self.tls or self.starttls == "always" or bool(self.user and not self.is_loopback)


def parse_smtp_url(url: str) -> SmtpServer:
    """`smtp[s]://[user:password@]host[:port][?starttls=always|offered|never][&ca=FILE]`. Raises `SmtpUrlError`."""
    parts = _split_url(url.strip())
    if parts.fragment or parts.path not in ("", "/"):
        raise SmtpUrlError(_FORMAT_HELP)
    options = _parse_options(parts)
    found = SmtpServer(
        host=_encode_host(parts.hostname or ""),
        port=_read_part(lambda: parts.port) or _PORTS[parts.scheme],
        tls=parts.scheme == "smtps",
        user=_decode_part(parts.username),
        password=_decode_part(parts.password),
        starttls=options.get("starttls", "offered"),
        ca_file=options.get("ca", ""),
    )
    if bool(found.user) != bool(found.password):
        raise SmtpUrlError("PORTAL_SMTP_URL names a user without a password, or a password without a user.")
    if found.user and found.starttls == "never" and not found.tls and not found.is_loopback:
        raise SmtpUrlError(
            "PORTAL_SMTP_URL would send the password in the clear: leave out starttls=never, or use smtps://."
        )
    return found


def _split_url(url: str) -> SplitResult:
    if not _is_utf8(url):
        raise SmtpUrlError(_ENCODING_HELP)
    parts = _read_part(lambda: urlsplit(url))
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise SmtpUrlError(_FORMAT_HELP)
    return parts


def _is_utf8(text: str) -> bool:
    """False where a file of settings was saved in another encoding: its bytes stand as surrogates then (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _read_part(read: Callable[[], _T]) -> _T:
    """What the standard library reads of a URL only when it is asked for."""
    try:
        return read()
    except ValueError as error:
        raise SmtpUrlError(_FORMAT_HELP) from error


def _encode_host(name: str) -> str:
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise SmtpUrlError(f"PORTAL_SMTP_URL names a host that cannot be: {name}.") from error


def _decode_part(text: str | None) -> str:
    try:
        found = unquote(text or "", errors="strict")
    except UnicodeDecodeError as error:
        raise SmtpUrlError(_ENCODING_HELP) from error
    if _CONTROL.search(found):
        raise SmtpUrlError("PORTAL_SMTP_URL: neither user nor password can hold control characters.")
    return found


def _parse_options(parts: SplitResult) -> dict[str, str]:
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    if set(found) - {"starttls", "ca"} or found.get("starttls", "offered") not in _STARTTLS:
        raise SmtpUrlError(f"PORTAL_SMTP_URL knows two options: starttls={'|'.join(_STARTTLS)} and ca=FILE.")
    if "starttls" in found and parts.scheme == "smtps":
        raise SmtpUrlError("PORTAL_SMTP_URL: smtps:// is encrypted from the start, so it takes no starttls.")
    return found
