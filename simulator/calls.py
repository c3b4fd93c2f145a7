"""The log of API requests, in order of arrival: the witness for "nobody got the same text twice"."""

from dataclasses import dataclass


@dataclass(slots=True)
class Call:
    """`status` stays None while the request is open, and for ever when it was never answered."""

    n: int
    at_ms: int
    method: str
    path: str
    kind: str  # one of faults.CALL_KINDS, or unknown
    account_sid: str | None = None
    to: str | None = None
    sender: str | None = None
    body: str | None = None
    outcome: str = "open"
    sid: str | None = None
    accepted: bool = False
    status: int | None = None


def call_json(call: Call) -> dict[str, object]:
    return {
        "n": call.n,
        "at_ms": call.at_ms,
        "method": call.method,
        "path": call.path,
        "kind": call.kind,
        "account_sid": call.account_sid,
        "to": call.to,
        "from": call.sender,
        "body": call.body,
        "outcome": call.outcome,
        "sid": call.sid,
        "accepted": call.accepted,
        "status": call.status,
    }
