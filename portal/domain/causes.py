"""Why a server of ours cannot be used, told from the error its client raised: one sentence, and the way out.

The tables match the words that the server and its client library use. Whatever no row knows is told by its first line.
No sentence holds a password: patterns quote nothing, and `first_line` removes what an address may carry.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.why} {self.fix}"


Row = tuple[str, str, str]
"""A pattern, what it means, and what to do."""

_NO_HOST = "Check the host's name in {variable}, and that this machine's name server knows it."
_TLS_FIX = "Name the file of the authority that signed it, or give the server a certificate that fits its name."

_NO_TLS = Cause(
    "No TLS connection to Redis comes about; this port may well speak plain Redis.",
    "Use redis:// for a port without TLS, or name the port that has it.",
)

_REDIS: Sequence[Row] = (
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
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|[Hh]ostname mismatch|doesn't match",
     "The certificate of Redis is not trusted here, or is for another name.",
     "Add ?ssl_ca_certs=/path/to/ca.pem to PORTAL_REDIS_URL, or give the server a certificate that fits its name."),
    (r"WRONG_VERSION_NUMBER|record layer failure|UNEXPECTED_EOF|SSL|ssl", _NO_TLS.why, _NO_TLS.fix),
    (r"Protocol Error|InvalidResponse", "What answers at PORTAL_REDIS_URL is not Redis.", "Check host and port."),
    (r"Name or service not known|[Nn]o address associated|Temporary failure in name resolution|nodename nor servname",
     "The host in PORTAL_REDIS_URL is not known.", _NO_HOST.format(variable="PORTAL_REDIS_URL")),
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


def redis_cause(kind: str, words: str, tls: bool = False) -> Cause:
    """Of an error of the Redis client: its class's name, what it says, and whether the address asks for TLS.

    A server without TLS takes the beginning of a TLS connection for a command that is not complete, and waits.
    """
    if tls and "Timeout" in kind:
        return _NO_TLS
    return _find(_REDIS, f"{kind}: {words}") or Cause(
        f"Redis cannot be used: {first_line(words) or kind}.", "Check PORTAL_REDIS_URL and the server."
    )


def _find(rows: Sequence[Row], words: str) -> Cause | None:
    return next((Cause(why, fix) for pattern, why, fix in rows if re.search(pattern, words)), None)


def first_line(words: str) -> str:
    """What may be shown of an error that no row knows: one line, without addresses' users and passwords."""
    line = next(iter(words.strip().splitlines()), "").strip().rstrip(".")
    return re.sub(r"(password=)\S+", r"\1…", re.sub(r"//[^/@\s]*@", "//", line))[:300]
