"""Explain connection errors of Redis and the database: the reason, and how to fix it.

The tables match messages of the servers and their client libraries. An unknown error is shown by its first line. No
explanation contains a password: the tables quote nothing, and `redacted_first_line` removes credentials from URLs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.translation import N_


@dataclass(frozen=True)
class ErrorExplanation:
    """Pages translate both."""

    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.reason} {self.fix}"


ErrorPattern = tuple[str, str, str]
"""A pattern for the error, the reason, and the fix."""


_NETWORK_PATTERNS = (
    r"[Nn]o address associated|Temporary failure in name resolution|nodename nor servname|"
    r"Name or service not known|failed to resolve host|could not translate host name",
    r"[Cc]onnection refused|Error 111|Error 61\b",
    r"socket.* No such file or directory|Error 2 connecting to",
    r"socket.* Permission denied|Error 13\b",
    r"[Nn]o route to host|[Nn]etwork is unreachable",
    r"Timeout|timed out|timeout expired|(statement|lock) timeout",
)
"""What operating systems and resolvers say."""


def _network_errors(*explanations: tuple[str, str]) -> list[ErrorPattern]:
    """The reason and the fix for each of the network patterns."""
    pairs = zip(_NETWORK_PATTERNS, explanations, strict=True)
    return [(pattern, reason, fix) for pattern, (reason, fix) in pairs]


_TLS_MISMATCH = ErrorExplanation(
    N_("The TLS handshake with Redis failed; the port probably speaks plain Redis."),
    N_("Use redis:// for a port without TLS, or the port that has TLS."),
)

_REDIS: Sequence[ErrorPattern] = (
    # Redis answers but refuses writes
    (r"OOM command not allowed|OutOfMemoryError", N_("Redis is full: it answers but refuses every write."),
     N_("Give it more memory (maxmemory), or find out what else fills it.")),
    (r"READONLY|read only replica|force unblock from blocking",
     N_("Redis is a read-only replica, as after a failover: it answers but refuses every write."),
     N_("Set PORTAL_REDIS_URL to the primary, or make this server the primary.")),
    (r"MISCONF|Errors writing to the AOF", N_("Redis cannot write to its own disk, so it refuses every write."),
     N_("Free disk space or fix the permissions; see the Redis log.")),
    (r"NOREPLICAS", N_("Redis has fewer replicas than min-replicas-to-write requires, so it refuses every write."),
     N_("Bring its replicas back, or lower min-replicas-to-write.")),
    (r"NOPERM|NoPermission", N_("The Redis user in PORTAL_REDIS_URL may not do what the queue needs."),
     N_("Give it the rights in docs/compose/valkey.acl: keys, channels and commands.")),
    (r"CLUSTERDOWN|MovedError|AskError|CROSSSLOT|\bMOVED\b",
     N_("PORTAL_REDIS_URL is a Redis Cluster, which the queue does not support."), N_("Use a single primary.")),
    (r"MASTERDOWN", N_("Redis is a replica that lost its primary."), N_("Set PORTAL_REDIS_URL to the primary.")),
    # authentication
    (r"WRONGPASS|invalid username-password|invalid password",
     N_("Redis refuses the user or password in PORTAL_REDIS_URL."),
     N_("Correct them there: redis://user:password@host, or redis://:password@host without a user.")),
    (r"NOAUTH|Authentication required|HELLO must be called with the client already authenticated",
     N_("Redis requires a password, and PORTAL_REDIS_URL has none."),
     N_("Add it: redis://:password@host:6379/0.")),
    (r"without any password configured|no password is set",
     N_("PORTAL_REDIS_URL has a password, but Redis has none."),
     N_("Remove it from the URL, or set requirepass on the server.")),
    (r"DENIED Redis is running in protected mode", N_("Redis is in protected mode: it only serves its own machine."),
     N_("Set a password on it and in PORTAL_REDIS_URL, or let it listen on loopback.")),
    (r"max number of clients", N_("Redis has reached its client limit."),
     N_("Raise maxclients, or stop other clients.")),
    (r"DB index is out of range|invalid DB index", N_("Redis does not have the database in PORTAL_REDIS_URL."),
     N_("End the URL with /0.")),
    (r"LOADING|BusyLoading", N_("Redis is still reading its data from disk."), N_("Wait until it has finished.")),
    # connection
    (r"^ValueError", N_("PORTAL_REDIS_URL is not a valid URL."),
     N_("Write it as redis://user:password@host:6379/0; in the password, write %23 for # and %40 for @.")),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|[Hh]ostname mismatch|doesn't match",
     N_("The certificate of Redis is not trusted, or is for another name."),
     N_("Add ?ssl_ca_certs=/path/to/ca.pem to PORTAL_REDIS_URL, or give the server a certificate for its name.")),
    (r"WRONG_VERSION_NUMBER|record layer failure|UNEXPECTED_EOF|SSL|ssl", _TLS_MISMATCH.reason, _TLS_MISMATCH.fix),
    (r"Protocol Error|InvalidResponse", N_("The server at PORTAL_REDIS_URL is not Redis."), N_("Check host and port.")),
    *_network_errors(
        (N_("The host in PORTAL_REDIS_URL is unknown."),
         N_("Check the host name in PORTAL_REDIS_URL, and DNS on this machine.")),
        (N_("Nothing is listening at PORTAL_REDIS_URL."), N_("Start Redis or Valkey, or correct the URL.")),
        (N_("The socket in PORTAL_REDIS_URL does not exist."), N_("Start Redis or Valkey, or correct the path.")),
        (N_("This user may not open the socket in PORTAL_REDIS_URL."), N_("Give it read and write permission.")),
        (N_("The host in PORTAL_REDIS_URL cannot be reached."), N_("Check the network and the firewall.")),
        (N_("Redis did not answer in time."), N_("Check the server and the network.")),
    ),
    (r"Connection closed by server|reset by peer|Broken pipe",
     N_("Redis closed the connection; the port probably requires TLS."), N_("Use rediss:// for a port with TLS.")),
)  # fmt: skip


def explain_redis_error(error_class: str, message: str, tls: bool = False) -> ErrorExplanation:
    """Explain a Redis client error by its class name and message; `tls` is whether the URL uses TLS.

    A server without TLS takes a TLS handshake for an incomplete command, and waits.
    """
    if tls and "Timeout" in error_class:
        return _TLS_MISMATCH
    return _match_pattern(_REDIS, f"{error_class}: {message}") or ErrorExplanation(
        f"Redis cannot be used: {redacted_first_line(message) or error_class}.",
        N_("Check PORTAL_REDIS_URL and the server."),
    )


SHARED_POOLER_SESSIONS = ErrorExplanation(
    N_(
        "The pooler in PORTAL_DATABASE_URL shares connections between transactions or statements (PgBouncer’s "
        "pool_mode), but the portal’s locks and timeouts need one connection for each session."
    ),
    N_("Set pool_mode = session for this database, or use the PostgreSQL server directly."),
)
DATABASE_NOT_INITIALIZED = ErrorExplanation(N_("The database is not set up yet."), N_("Run: portal db upgrade"))
_CONNECTION_LIMIT_FIX = N_(
    "Raise the limit, stop other clients, or run fewer processes: each opens up to 20 connections."
)

_DATABASE: Sequence[ErrorPattern] = (
    # tables
    (r"no such column|column .* does not exist|UndefinedColumn", N_("The tables are older than this version."),
     N_("Run: portal db upgrade")),
    (r"no such table|relation .* does not exist|UndefinedTable",
     DATABASE_NOT_INITIALIZED.reason, DATABASE_NOT_INITIALIZED.fix),
    (r"permission denied for|must be owner of", N_("The user in PORTAL_DATABASE_URL may not use the portal’s tables."),
     N_("Make it the owner of the tables and of the database: ALTER DATABASE portal OWNER TO portal.")),
    (r"read-only transaction", N_("PostgreSQL is a standby or read-only, and refuses writes."),
     N_("Set PORTAL_DATABASE_URL to the primary.")),
    # poolers
    (r"statement pooling mode", SHARED_POOLER_SESSIONS.reason, SHARED_POOLER_SESSIONS.fix),
    (r"unsupported startup parameter", N_("The pooler in PORTAL_DATABASE_URL refuses a parameter in the URL."),
     N_("Remove it from the URL (?options=…), and set it for the role instead: ALTER ROLE portal SET …")),
    (r"server login has been failing|server_login_retry",
     N_("The pooler in PORTAL_DATABASE_URL answers but cannot reach PostgreSQL."),
     N_("Check the pooler’s settings for this database, PostgreSQL itself, and the pooler’s log.")),
    (r"query_wait_timeout", N_("The pooler in PORTAL_DATABASE_URL had no free connection."), _CONNECTION_LIMIT_FIX),
    (r"no more connections allowed|too many (clients|connections)|connection slots",
     N_("The database has reached its connection limit."), _CONNECTION_LIMIT_FIX),
    # authentication
    (r"no such database|database .* does not exist",
     N_("The server does not have the database in PORTAL_DATABASE_URL."),
     N_("Create it (createdb --owner portal portal), or correct the name.")),
    (r"password authentication failed|role .* does not exist|SASL authentication failed|no such user",
     N_("The database refuses the user or password in PORTAL_DATABASE_URL."),
     N_("Correct them; in the password, write %40 for @ and %2F for /.")),
    (r"no password supplied", N_("The database requires a password, and PORTAL_DATABASE_URL has none."),
     N_("Add it: postgresql://user:password@host/name.")),
    (r"not permitted to log in", N_("The role in PORTAL_DATABASE_URL may not log in."),
     N_("Run: ALTER ROLE portal LOGIN")),
    (r"SSL required", N_("PostgreSQL requires TLS."),
     N_("Add ?sslmode=require or verify-full to PORTAL_DATABASE_URL.")),
    # if TLS was tried first, the error also mentions SSL encryption
    (r"(?s)\A(?!.*SSL encryption).*no encryption",
     N_("PostgreSQL’s pg_hba.conf allows this user from this host only with TLS, or not at all."),
     N_("Add ?sslmode=require to PORTAL_DATABASE_URL, or verify-full. A server without TLS needs a line in "
        "pg_hba.conf.")),
    (r"pg_hba\.conf|(Peer|Ident|peer|ident) authentication failed",
     N_("The server’s pg_hba.conf does not allow this user from this host."),
     N_("Add a line for it and reload the server, or use another user.")),
    (r"starting up|shutting down|recovery mode|not yet accepting|administrator command",
     N_("The database is starting or stopping."), N_("Wait until it is ready.")),
    # certificates and TLS
    (r"does not match host name|[Hh]ostname mismatch",
     N_("The database’s certificate does not match the host in PORTAL_DATABASE_URL."),
     N_("Use the name in the certificate, or give the server a certificate for its name.")),
    (r"client certificate|alert certificate required",
     N_("PostgreSQL requires a client certificate, and PORTAL_DATABASE_URL has none that it accepts."),
     N_("Add ?sslcert= and ?sslkey= to PORTAL_DATABASE_URL, with files that this user can read.")),
    (r"root certificate file|could not read root certificate",
     N_("The certificate authority’s file (sslrootcert) does not exist or cannot be read."),
     N_("Correct ?sslrootcert= in PORTAL_DATABASE_URL; sslrootcert=system uses this machine’s authorities.")),
    (r"certificate file|private key file", N_("The client’s certificate or key (sslcert, sslkey) cannot be used."),
     N_("Correct ?sslcert= and ?sslkey= in PORTAL_DATABASE_URL; only this user may read the key.")),
    (r"certificate verify failed|CERTIFICATE_VERIFY", N_("The database’s certificate is not trusted."),
     N_("Name the authority that signed it: ?sslmode=verify-full&sslrootcert=/path/to/ca.pem in PORTAL_DATABASE_URL.")),
    (r"does not support SSL", N_("PORTAL_DATABASE_URL requires TLS (sslmode), but the server does not support it."),
     N_("Enable TLS on the server, or remove sslmode from the URL.")),
    (r"invalid sslmode|invalid connection option|unrecognized configuration parameter|weak sslmode",
     N_("PORTAL_DATABASE_URL has an unknown or invalid option."), N_("Correct the options after the ? in it.")),
    (r"invalid response to SSL negotiation|expected authentication request|unexpected response",
     N_("The server at PORTAL_DATABASE_URL is not PostgreSQL."), N_("Check host and port.")),
    (r"SSL", N_("The TLS handshake with the database failed."), N_("Check its certificate and TLS settings.")),
    # connection
    *_network_errors(
        (N_("The host in PORTAL_DATABASE_URL is unknown."),
         N_("Check the host name in PORTAL_DATABASE_URL, and DNS on this machine.")),
        (N_("Nothing is listening at PORTAL_DATABASE_URL."), N_("Start PostgreSQL, or correct the URL.")),
        (N_("The socket in PORTAL_DATABASE_URL does not exist."), N_("Start PostgreSQL, or correct the path.")),
        (N_("This user may not open the socket in PORTAL_DATABASE_URL."), N_("Give it read and write permission.")),
        (N_("The host in PORTAL_DATABASE_URL cannot be reached."), N_("Check the network and the firewall.")),
        (N_("The database did not answer in time."), N_("Check the server and the network.")),
    ),
    (r"closed the connection unexpectedly|reset by peer|Broken pipe",
     N_("The server at PORTAL_DATABASE_URL closed the connection."),
     N_("Check that it is PostgreSQL, and see its log.")),
    # SQLite
    (r"file is not a database|file is encrypted", N_("The database file is not a SQLite database."),
     N_("Use another file, or restore the database from a backup.")),
    (r"malformed", N_("The database is corrupt."), N_("Stop the portal and restore it from a backup.")),
    (r"unable to open database file", N_("The database file cannot be opened."),
     N_("Check that its folder exists, and that this user can read and write both.")),
    (r"readonly database", N_("This user may not write to the database."),
     N_("Give it write permission for the file and its folder.")),
    (r"disk is full|No space left on device", N_("The database’s disk is full."), N_("Free some space.")),
    (r"disk I/O error", N_("The database’s disk has errors."), N_("See the machine’s system log.")),
    (r"database is locked", N_("Another program has locked the database for ten seconds."),
     N_("Stop it. For backups use VACUUM INTO, which does not block.")),
)  # fmt: skip


def explain_database_error(message: str) -> ErrorExplanation:
    """Explain a database driver's message."""
    return _match_pattern(_DATABASE, message) or ErrorExplanation(
        f"The database cannot be used: {redacted_first_line(message) or 'no message'}.",
        "Check PORTAL_DATABASE_URL and the server.",
    )


def match_database_error(error: BaseException) -> ErrorExplanation | None:
    """Explain a driver's error by the table, which quotes nothing; None if no row matches."""
    return _match_pattern(_DATABASE, str(getattr(error, "orig", None) or error))


def _match_pattern(rows: Sequence[ErrorPattern], message: str) -> ErrorExplanation | None:
    return next((ErrorExplanation(reason, fix) for pattern, reason, fix in rows if re.search(pattern, message)), None)


def redacted_first_line(message: str) -> str:
    """The first line of an unknown error, without credentials in URLs."""
    line = next(iter(message.strip().splitlines()), "").strip().rstrip(".")
    return re.sub(r"(password=)\S+", r"\1…", re.sub(r"//[^/@\s]*@", "//", line))[:300]
