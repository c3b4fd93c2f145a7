"""The states of a send."""

from enum import StrEnum


class SendState(StrEnum):
    """The value is what `send.state` holds. A paused send keeps its state: `paused_at_ms` says so."""

    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    FANNING_OUT = "fanning_out"
    SENDING = "sending"
    DONE = "done"
    CANCELED = "canceled"
