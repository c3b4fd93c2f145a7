"""Why a server of ours cannot be used, told from the error its client raised: one sentence, and the way out.

The tables match the words that the server and its client library use. Whatever no row knows is told by its first line.
No sentence holds a password: patterns quote nothing, and `redacted_first_line` removes what an address may carry.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorExplanation:
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"{self.reason} {self.fix}"


ErrorPattern = tuple[str, str, str]
"""A pattern, what it means, and what to do."""

_UNKNOWN_HOST_FIX = "Check the host's name in {variable}, and that this machine's name server knows it."

_TLS_MISMATCH = ErrorExplanation(
    "No TLS connection to Redis comes about; this port may well speak plain Redis.",
    "Use redis:// for a port without TLS, or name the port that has it.",
)

_REDIS: Sequence[ErrorPattern] = (
    # it answers, and takes no writes
    (r"OOM command not allowed|OutOfMemoryError", "Redis is full: it answers, and refuses every write.",
     "Give it more memory (maxmemory), or find what else fills it."),
    (r"READONLY|read only replica|force unblock from blocking",
     "Redis is a read-only replica, as after a failover: it answers, and refuses every write.",
     "Let PORTAL_REDIS_URL name the primary, or make this server the primary."),
    (r"MISCONF|Errors writing to the AOF", "Redis cannot write to its own disk, so it refuses every write.",
     "Free its disk or correct its rights; its own log says more."),
    (r"NOREPLICAS", "Redis has fewer replicas than min-replicas-to-write asks for, so it refuses every write.",
     "Bring its replicas back, or lower min-replicas-to-write."),
    (r"NOPERM|NoPermission", "The Redis user in PORTAL_REDIS_URL may not do what the queue needs.",
     "Allow it all keys that begin with rq: and portal:, all channels that begin with rq:, and the commands "
     "@read, @write, @pubsub, @scripting, @transaction, @connection and info."),
    (r"CLUSTERDOWN|MovedError|AskError|CROSSSLOT|\bMOVED\b",
     "PORTAL_REDIS_URL names a Redis Cluster, which the queue cannot use.", "Name a single primary."),
    (r"MASTERDOWN", "Redis is a replica that lost its primary.", "Let PORTAL_REDIS_URL name the primary."),
    # it lets nobody in
    (r"WRONGPASS|invalid username-password|invalid password",
     "Redis refuses the user or password in PORTAL_REDIS_URL.",
     "Correct them there: redis://user:password@host, or redis://:password@host without a user."),
    (r"NOAUTH|Authentication required|HELLO must be called with the client already authenticated",
     "Redis asks for a password, and PORTAL_REDIS_URL has none.",
     "Write it there: redis://:password@host:6379/0."),
    (r"without any password configured|no password is set",
     "PORTAL_REDIS_URL has a password, and Redis is set up without one.",
     "Take it out of the address, or set requirepass on the server."),
    (r"DENIED Redis is running in protected mode", "Redis is in protected mode: it serves its own machine only.",
     "Set a password on it and write that in PORTAL_REDIS_URL, or let it listen on loopback."),
    (r"max number of clients", "Redis has as many clients as it allows.",
     "Raise its maxclients, or end other clients."),
    (r"DB index is out of range|invalid DB index", "Redis has no database of the number in PORTAL_REDIS_URL.",
     "Use /0 at its end."),
    (r"LOADING|BusyLoading", "Redis is still reading its data from disk.", "Wait: it begins by itself."),
    # on the way to it
    (r"^ValueError", "PORTAL_REDIS_URL cannot be read.",
     "Write it as redis://user:password@host:6379/0, and special characters of the password as %23 for #, %40 for @."),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|[Hh]ostname mismatch|doesn't match",
     "The certificate of Redis is not trusted here, or is for another name.",
     "Add ?ssl_ca_certs=/path/to/ca.pem to PORTAL_REDIS_URL, or give the server a certificate that fits its name."),
    (r"WRONG_VERSION_NUMBER|record layer failure|UNEXPECTED_EOF|SSL|ssl", _TLS_MISMATCH.reason, _TLS_MISMATCH.fix),
    (r"Protocol Error|InvalidResponse", "What answers at PORTAL_REDIS_URL is not Redis.", "Check host and port."),
    (r"Name or service not known|[Nn]o address associated|Temporary failure in name resolution|nodename nor servname",
     "The host in PORTAL_REDIS_URL is not known.", _UNKNOWN_HOST_FIX.format(variable="PORTAL_REDIS_URL")),
    (r"[Cc]onnection refused|Error 111|Error 61\b", "Nobody listens where PORTAL_REDIS_URL points.",
     "Start Redis or Valkey, or correct the address."),
    (r"No such file or directory|Error 2 connecting to unix", "The socket in PORTAL_REDIS_URL is not there.",
     "Start Redis or Valkey, or correct the path."),
    (r"Permission denied|Error 13\b", "This user may not open the socket in PORTAL_REDIS_URL.",
     "Give it the right to read and write there."),
    (r"[Nn]o route to host|[Nn]etwork is unreachable", "There is no way to the host in PORTAL_REDIS_URL.",
     "Check the network and the firewall."),
    (r"Timeout|timed out", "Redis did not answer in time.", "Check that it is well, and the network to it."),
    (r"Connection closed by server|reset by peer|Broken pipe",
     "Redis hung up at once; this port may well ask for TLS.", "Use rediss:// for a port with TLS."),
)  # fmt: skip


def explain_redis_error(error_class: str, message: str, tls: bool = False) -> ErrorExplanation:
    """Of an error of the Redis client: its class's name, what it says, and whether the address asks for TLS.

    A server without TLS takes the beginning of a TLS connection for a command that is not complete, and waits.
    """
    if tls and "Timeout" in error_class:
        return _TLS_MISMATCH
    return _match_pattern(_REDIS, f"{error_class}: {message}") or ErrorExplanation(
        f"Redis cannot be used: {redacted_first_line(message) or error_class}.",
        "Check PORTAL_REDIS_URL and the server.",
    )


SHARED_POOLER_SESSIONS = ErrorExplanation(
    "The pooler in PORTAL_DATABASE_URL shares connections between transactions or statements (PgBouncer's pool_mode), "
    "and the portal's locks and time limits need a connection for each session.",
    "Set pool_mode = session for this database, or name the PostgreSQL server itself.",
)
DATABASE_NOT_INITIALIZED = ErrorExplanation("The database is not set up yet.", "Run: portal db upgrade")
_SCHEMA_OUTDATED = ErrorExplanation("The tables are older than this version.", "Run: portal db upgrade")
_TOO_MANY_CONNECTIONS_FIX = (
    "Raise its limit, stop what else uses it, or run fewer processes: each opens up to 20 connections."
)
_NOT_POSTGRESQL = ErrorExplanation("What answers at PORTAL_DATABASE_URL is not PostgreSQL.", "Check host and port.")
_TLS_REQUIRED = ErrorExplanation(
    "PostgreSQL takes connections with TLS only.", "Add ?sslmode=require to PORTAL_DATABASE_URL, or verify-full."
)

_DATABASE: Sequence[ErrorPattern] = (
    # tables
    (r"no such column|column .* does not exist|UndefinedColumn", _SCHEMA_OUTDATED.reason, _SCHEMA_OUTDATED.fix),
    (r"no such table|relation .* does not exist|UndefinedTable", DATABASE_NOT_INITIALIZED.reason, DATABASE_NOT_INITIALIZED.fix),
    (r"permission denied for|must be owner of", "The user in PORTAL_DATABASE_URL may not use the portal's tables.",
     "Make it their owner, and the database's: ALTER DATABASE portal OWNER TO portal."),
    (r"read-only transaction", "PostgreSQL here is a standby or read-only: it takes no writes.",
     "Let PORTAL_DATABASE_URL name the primary."),
    # poolers
    (r"statement pooling mode", SHARED_POOLER_SESSIONS.reason, SHARED_POOLER_SESSIONS.fix),
    (r"unsupported startup parameter", "The pooler in PORTAL_DATABASE_URL refuses a parameter of that address.",
     "Take it out of the address (?options=…), and give it to the role instead: ALTER ROLE portal SET …"),
    (r"server login has been failing|server_login_retry",
     "The pooler in PORTAL_DATABASE_URL answers, and does not reach PostgreSQL itself.",
     "Check the database's line in the pooler's settings, and that PostgreSQL is well; the pooler's log says more."),
    (r"query_wait_timeout", "The pooler in PORTAL_DATABASE_URL had no connection left for us.", _TOO_MANY_CONNECTIONS_FIX),
    (r"no more connections allowed|too many (clients|connections)|connection slots",
     "The database has as many connections as it allows.", _TOO_MANY_CONNECTIONS_FIX),
    # it lets nobody in
    (r"no such database|database .* does not exist", "The server has no database of the name in PORTAL_DATABASE_URL.",
     "Create it there (createdb --owner portal portal), or correct the name."),
    (r"password authentication failed|role .* does not exist|SASL authentication failed|no such user",
     "The database refuses the user or password in PORTAL_DATABASE_URL.",
     "Correct them there; special characters of a password are written as %40 for @, %2F for /."),
    (r"no password supplied", "The database asks for a password, and PORTAL_DATABASE_URL has none.",
     "Write it there: postgresql://user:password@host/name."),
    (r"not permitted to log in", "The role in PORTAL_DATABASE_URL may not log in.", "ALTER ROLE portal LOGIN."),
    (r"SSL required", _TLS_REQUIRED.reason, _TLS_REQUIRED.fix),
    # said twice, with and without TLS, where TLS was tried first
    (r"(?s)\A(?!.*SSL encryption).*no encryption",
     "PostgreSQL lets this user in from here with TLS only, or not at all (its pg_hba.conf).",
     "Add ?sslmode=require to PORTAL_DATABASE_URL, or verify-full. A server without TLS needs a line in pg_hba.conf."),
    (r"pg_hba\.conf|(Peer|Ident|peer|ident) authentication failed",
     "The server's pg_hba.conf does not let this user in from here.",
     "Add a line for it there and reload the server, or use another user."),
    (r"starting up|shutting down|recovery mode|not yet accepting|administrator command",
     "The database is starting or stopping.", "Wait: it answers by itself."),
    # certificates and TLS
    (r"does not match host name|[Hh]ostname mismatch",
     "The database's certificate is for another name than the host in PORTAL_DATABASE_URL.",
     "Use the name in the certificate, or give the server one that fits."),
    (r"client certificate|alert certificate required",
     "PostgreSQL asks for a certificate of ours, and PORTAL_DATABASE_URL names none that it takes.",
     "Add ?sslcert= and ?sslkey= to PORTAL_DATABASE_URL, with files that this user may read."),
    (r"root certificate file|could not read root certificate",
     "The file with the authority's certificate (sslrootcert) is not there or cannot be read.",
     "Correct ?sslrootcert= in PORTAL_DATABASE_URL; sslrootcert=system uses this machine's own authorities."),
    (r"certificate file|private key file", "The client's certificate or key (sslcert, sslkey) cannot be used.",
     "Correct ?sslcert= and ?sslkey= in PORTAL_DATABASE_URL; the key must be readable by this user alone."),
    (r"certificate verify failed|CERTIFICATE_VERIFY", "The database's certificate is not trusted here.",
     "Name the authority that signed it: ?sslmode=verify-full&sslrootcert=/path/to/ca.pem in PORTAL_DATABASE_URL."),
    (r"does not support SSL", "PORTAL_DATABASE_URL asks for TLS (sslmode), and the server offers none.",
     "Switch TLS on at the server, or take sslmode out of the address."),
    (r"invalid sslmode|invalid connection option|unrecognized configuration parameter|weak sslmode",
     "PORTAL_DATABASE_URL has an option that PostgreSQL does not know.", "Correct what follows the ? in it."),
    (r"invalid response to SSL negotiation|expected authentication request|unexpected response",
     _NOT_POSTGRESQL.reason, _NOT_POSTGRESQL.fix),
    (r"SSL", "No TLS connection to the database comes about.", "Check its certificate and its TLS settings."),
    # on the way to it
    (r"failed to resolve host|could not translate host name|Name or service not known|nodename nor servname",
     "The host in PORTAL_DATABASE_URL is not known.", _UNKNOWN_HOST_FIX.format(variable="PORTAL_DATABASE_URL")),
    (r"[Cc]onnection refused", "Nobody listens where PORTAL_DATABASE_URL points.",
     "Start PostgreSQL, or correct host and port."),
    (r"on socket .* failed: No such file", "The socket in PORTAL_DATABASE_URL is not there.",
     "Start PostgreSQL, or correct its folder (?host=)."),
    (r"on socket .* failed: Permission denied", "This user may not open the socket in PORTAL_DATABASE_URL.",
     "Give it the right, or use another way to the server."),
    (r"[Nn]o route to host|[Nn]etwork is unreachable", "There is no way to the host in PORTAL_DATABASE_URL.",
     "Check the network and the firewall."),
    (r"timeout expired|timed out|statement timeout|lock timeout", "The database did not answer in time.",
     "Check that it is well, and the network to it."),
    (r"closed the connection unexpectedly|reset by peer|Broken pipe", "What answers at PORTAL_DATABASE_URL hung up.",
     "Check that it is PostgreSQL and well; its own log says more."),
    # SQLite
    (r"file is not a database|file is encrypted", "The file of the database is no SQLite database.",
     "Name another file, or put the database back from a backup."),
    (r"malformed", "The database is damaged.", "Stop the portal and put it back from a backup."),
    (r"unable to open database file", "The file of the database cannot be opened.",
     "Check that its folder is there, and that this user may read and write both."),
    (r"readonly database", "The database may not be written by this user.",
     "Give it the right to write the file and its folder."),
    (r"disk is full|No space left on device", "The disk of the database is full.", "Free some of it."),
    (r"disk I/O error", "The disk of the database fails.", "Look at the machine's own log."),
    (r"database is locked", "Another program has held the database for ten seconds.",
     "Stop it; a backup takes VACUUM INTO, which holds nothing up."),
)  # fmt: skip


def explain_database_error(message: str) -> ErrorExplanation:
    """Of what the database's driver says."""
    return _match_pattern(_DATABASE, message) or ErrorExplanation(
        f"The database does not answer as it should: {redacted_first_line(message) or 'it says nothing'}.",
        "Check PORTAL_DATABASE_URL and the server.",
    )


def match_database_error(error: BaseException) -> ErrorExplanation | None:
    """Of an error of the database's driver, a cause of the table, which quotes nothing; None for every other one."""
    return _match_pattern(_DATABASE, str(getattr(error, "orig", None) or error))


def _match_pattern(rows: Sequence[ErrorPattern], message: str) -> ErrorExplanation | None:
    return next((ErrorExplanation(why, fix) for pattern, why, fix in rows if re.search(pattern, message)), None)


def redacted_first_line(message: str) -> str:
    """What may be shown of an error that no row knows: one line, without addresses' users and passwords."""
    line = next(iter(message.strip().splitlines()), "").strip().rstrip(".")
    return re.sub(r"(password=)\S+", r"\1…", re.sub(r"//[^/@\s]*@", "//", line))[:300]
