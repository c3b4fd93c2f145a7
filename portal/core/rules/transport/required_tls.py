"""Connections to another machine are encrypted, and the certificate is verified: the database, Redis and mail.

Production refuses anything else, diagnostics warn about it. Nothing is required on this machine: loopback and sockets.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, parse_qs, urlsplit

from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.rules.smtp_url import SmtpUrlError, parse_smtp_url
from portal.core.rules.transport.loopback import is_loopback
from portal.core.translation import N_

DATABASE_UNVERIFIED = ErrorExplanation(
    N_(
        "PORTAL_DATABASE_URL goes to another host without verified TLS, so anybody in between could read and change "
        "everything."
    ),
    N_(
        "Add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem (sslrootcert=system for public authorities), or use the "
        "server’s socket on the same host."
    ),
)
REDIS_UNENCRYPTED = ErrorExplanation(
    N_("PORTAL_REDIS_URL is unencrypted redis:// to another host, so anybody in between could take over the workers."),
    N_("Use rediss:// (TLS), with ?ssl_ca_certs=/path/to/ca.pem for your own authority, or unix:// on the same host."),
)
REDIS_UNVERIFIED = ErrorExplanation(
    N_(
        "PORTAL_REDIS_URL does not verify the server’s certificate and name, so anybody in between could pretend to be "
        "it."
    ),
    N_("Remove ssl_cert_reqs and ssl_check_hostname; ?ssl_ca_certs=/path/to/ca.pem names your own authority."),
)
MAIL_UNENCRYPTED = ErrorExplanation(
    N_("PORTAL_SMTP_URL allows email to travel in the clear to another host."),
    N_("Remove starttls, or use smtps://; ?ca=/path/to/ca.pem names your own authority."),
)
_FALSE = ("0", "false", "f", "no", "n", "off", "")


def database_tls_problem(url: str, env: Mapping[str, str]) -> ErrorExplanation | None:
    """`env` has the variables of PostgreSQL's client, which complete the URL."""
    parts = urlsplit(url)
    if not url or parts.scheme.startswith("sqlite") or all(map(_is_local, _database_hosts(parts, env))):
        return None
    mode = _option(parts, "sslmode") or env.get("PGSSLMODE", "")
    return None if mode == "verify-full" else DATABASE_UNVERIFIED


def redis_tls_problem(url: str) -> ErrorExplanation | None:
    parts = urlsplit(url)
    if parts.scheme == "unix" or is_loopback(parts.hostname or "localhost"):
        return None
    if parts.scheme != "rediss":
        return REDIS_UNENCRYPTED if parts.scheme == "redis" else None
    options = parse_qs(parts.query, keep_blank_values=True)
    is_unverified = {text.lower() for text in options.get("ssl_cert_reqs", [])} & {"none", "optional"}
    is_any_name = {text.lower() for text in options.get("ssl_check_hostname", [])} & set(_FALSE)
    return REDIS_UNVERIFIED if is_unverified or is_any_name else None


def mail_tls_problem(url: str) -> ErrorExplanation | None:
    """An invalid URL is left to its parser."""
    try:
        server = parse_smtp_url(url) if url else None
    except SmtpUrlError:
        return None
    return None if server is None or server.is_loopback or server.requires_tls else MAIL_UNENCRYPTED


def _database_hosts(parts: SplitResult, env: Mapping[str, str]) -> Iterator[str]:
    """Every host that PostgreSQL's client may try; "" is the server's own socket. A service file may name any host."""
    query = parse_qs(parts.query)
    in_url = [parts.hostname or "", *query.get("host", []), *query.get("hostaddr", [])]
    names = in_url if any(in_url) else [env.get("PGHOST", ""), env.get("PGHOSTADDR", "")]
    yield from ",".join(names).split(",")
    yield from filter(None, [*query.get("service", []), env.get("PGSERVICE", "")])


def _is_local(host: str) -> bool:
    name = host.partition(":")[0] if host.count(":") == 1 else host
    return not name or name.startswith(("/", "@")) or is_loopback(name)


def _option(parts: SplitResult, name: str) -> str:
    return parse_qs(parts.query).get(name, [""])[-1]
