"""The log of API requests in order of arrival. Tests use it to prove that nobody got the same text twice."""

from dataclasses import dataclass


@dataclass(slots=True)
class LogEntry:
    """`status` is None while the request is open, and stays None if it never got a response."""

    n: int
    at_ms: int
    method: str
    path: str
    kind: str  # one of CALL_KINDS, or unknown
    account_sid: str | None = None
    to_number: str | None = None
    from_number: str | None = None
    body: str | None = None
    outcome: str = "open"
    sid: str | None = None
    accepted: bool = False
    status: int | None = None


def log_entry_json(entry: LogEntry) -> dict[str, object]:
    return {
        "n": entry.n,
        "at_ms": entry.at_ms,
        "method": entry.method,
        "path": entry.path,
        "kind": entry.kind,
        "account_sid": entry.account_sid,
        "to": entry.to_number,
        "from": entry.from_number,
        "body": entry.body,
        "outcome": entry.outcome,
        "sid": entry.sid,
        "accepted": entry.accepted,
        "status": entry.status,
    }
