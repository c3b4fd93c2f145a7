"""Parses `PORTAL_SMTP_URL`, and decides when the connection must be encrypted."""

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import idna

_FORMAT_HELP = (
    "PORTAL_SMTP_URL must look like smtp://host:25 or smtps://user:password@host:465. "
    "In the user and password, write % as %25, / as %2F, ? as %3F, # as %23, : as %3A and @ as %40."
)
_ENCODING_HELP = "PORTAL_SMTP_URL: write characters such as ü in UTF-8, or as %C3%BC."
_STARTTLS = ("offered", "always", "never")
_PORTS = {"smtp": 25, "smtps": 465}
_CONTROL, _SURROGATE = re.compile(r"[\x00-\x1f\x7f]"), re.compile("[\ud800-\udfff]")


class SmtpUrlError(ValueError):
    """The URL is invalid; the message says how to fix it, and never shows the password."""


@dataclass(frozen=True)
class SmtpServer:
    """`tls`: from the start (smtps). `starttls`: always, never, or offered (if the server supports it).

    By default, only this machine may be without TLS. `ca_file`: an additional certificate authority in PEM.
    """

    host: str
    port: int
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: str = ""
    ca_file: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, so that neither TLS nor a trusted certificate is needed."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() in ("localhost", "localhost.localdomain", "ip6-localhost")

    @property
    def requires_tls(self) -> bool:
        return self.tls or self.starttls == "always" or bool(self.user and not self.is_loopback)


def parse_smtp_url(url: str) -> SmtpServer:
    """`smtp[s]://[user:password@]host[:port][?starttls=always|offered|never][&ca=FILE]`. Raises `SmtpUrlError`."""
    if _SURROGATE.search(url):  # the environment has another encoding, whose bytes become surrogates (PEP 383)
        raise SmtpUrlError(_ENCODING_HELP)
    try:
        server = _parse_server(urlsplit(url.strip()))
    except SmtpUrlError:
        raise
    except UnicodeDecodeError as error:
        raise SmtpUrlError(_ENCODING_HELP) from error
    except UnicodeError as error:
        raise SmtpUrlError(f"PORTAL_SMTP_URL has an invalid host: {error}.") from error
    except ValueError as error:
        raise SmtpUrlError(_FORMAT_HELP) from error
    if bool(server.user) != bool(server.password):
        raise SmtpUrlError("PORTAL_SMTP_URL has a user without a password, or a password without a user.")
    if server.user and server.starttls == "never" and not server.tls and not server.is_loopback:
        raise SmtpUrlError(
            "PORTAL_SMTP_URL would send the password in the clear: remove starttls=never, or use smtps://."
        )
    is_chosen = server.starttls or server.tls
    return server if is_chosen else replace(server, starttls="offered" if server.is_loopback else "always")


def _parse_server(parts: SplitResult) -> SmtpServer:
    """Raises `ValueError`, such as what the standard library and `idna` raise."""
    if parts.scheme not in _PORTS or not parts.hostname or parts.fragment or parts.path not in ("", "/"):
        raise SmtpUrlError(_FORMAT_HELP)
    options = _parse_options(parts)
    host = parts.hostname
    return SmtpServer(
        host=host if host.isascii() else idna.encode(host, uts46=True).decode(),
        port=parts.port or _PORTS[parts.scheme],
        tls=parts.scheme == "smtps",
        user=_decode_part(parts.username),
        password=_decode_part(parts.password),
        starttls=options.get("starttls", ""),
        ca_file=options.get("ca", ""),
    )


def _decode_part(text: str | None) -> str:
    decoded = unquote(text or "", errors="strict")
    if _CONTROL.search(decoded):
        raise SmtpUrlError("PORTAL_SMTP_URL: user and password must not contain control characters.")
    return decoded


def _parse_options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if set(options) - {"starttls", "ca"} or options.get("starttls", "offered") not in _STARTTLS:
        raise SmtpUrlError(f"PORTAL_SMTP_URL has two options: starttls={'|'.join(_STARTTLS)} and ca=FILE.")
    if "starttls" in options and parts.scheme == "smtps":
        raise SmtpUrlError("PORTAL_SMTP_URL: smtps:// is encrypted from the start, so it takes no starttls.")
    return options
