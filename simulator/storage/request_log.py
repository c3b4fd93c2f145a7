"""The log of API requests in order of arrival. Tests use it to prove that nobody got the same text twice."""

from dataclasses import dataclass, fields


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


_JSON_NAMES = {field.name: field.name.removesuffix("_number") for field in fields(LogEntry)}


def log_entry_json(entry: LogEntry) -> dict[str, object]:
    return {json_name: getattr(entry, name) for name, json_name in _JSON_NAMES.items()}
