"""The paths of the webhooks, and the result of a signed call to our own public address."""

from dataclasses import dataclass
from typing import Literal

CHECK_WEBHOOK_PATH = "/webhooks/twilio/check"


INBOUND_WEBHOOK_PATH = "/webhooks/twilio/inbound"


STATUS_WEBHOOK_PATH = "/webhooks/twilio/status"


@dataclass(frozen=True)
class RoundTripResult:
    """A signed POST to our own public address. `forged_status` is how the same without a right signature was answered."""

    status: int | None = None
    error: Literal["", "name", "connection", "certificate", "time-out", "answer"] = ""
    location: str = ""
    forged_status: int | None = None
