"""The webhook paths, and the result of a signed call to our own public URL."""

from dataclasses import dataclass
from typing import Literal

CHECK_WEBHOOK_PATH = "/webhooks/twilio/check"
INBOUND_WEBHOOK_PATH = "/webhooks/twilio/inbound"
STATUS_WEBHOOK_PATH = "/webhooks/twilio/status"


@dataclass(frozen=True)
class RoundTripResult:
    """`status` is the response to a signed POST to our public URL, `forged_status` to one with a forged signature."""

    status: int | None = None
    error: Literal["", "name", "connection", "certificate", "time-out", "answer"] = ""
    location: str = ""
    forged_status: int | None = None
