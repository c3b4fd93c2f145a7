"""The outcomes of an attempt."""

from enum import StrEnum


class AttemptOutcome(StrEnum):
    """The value is what `attempt.outcome` holds; each attempt begins as `PENDING`, before the call."""

    PENDING = ""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    ACCOUNT_FAULT = "account_fault"
    UNRECOGNIZED_ERROR = "unrecognized_error"
    NOT_FOUND = "not_found"
    RELEASED = "released"
