"""One text message, in either direction, and the shape in which Twilio's API shows it."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from simulator.codes import message_for
from simulator.settings import API_VERSION

PRICE_PER_SEGMENT_USD = 0.0079
FINAL_STATUSES = frozenset({"delivered", "undelivered", "failed", "received"})
AUTO_REPLY = "twilio-auto-reply"  # a direction of our own: Twilio's STOP, START and HELP texts, never in its list


@dataclass(slots=True)
class Message:
    sid: str
    account_sid: str
    sender: str
    recipient: str
    body: str
    direction: str  # inbound, outbound-api, outbound-reply, or AUTO_REPLY
    status: str
    segments: int
    created_ms: int
    updated_ms: int
    sent_ms: int | None = None
    reached_ms: int | None = None  # when it appeared on the handset
    error_code: int | None = None
    media_count: int = 0
    status_callback: str = ""
    service_sid: str | None = None
    validity_seconds: int = 36_000
    forced_code: int | None = None  # a fault decided at create how this one ends
    redacted: bool = False
    deleted: bool = False
    seq: int = 0  # place in the order of acceptance
    receipts: list[dict[str, Any]] = field(default_factory=list)  # what was posted about it, and what was answered

    @property
    def handset(self) -> str:
        return self.sender if self.direction == "inbound" else self.recipient

    @property
    def on_handset(self) -> bool:
        return self.direction == "inbound" or self.reached_ms is not None

    @property
    def did_not_arrive(self) -> bool:
        return self.status in ("undelivered", "failed")

    @property
    def activity_ms(self) -> int:
        return self.reached_ms or self.created_ms


_NAMES = tuple(each.name for each in fields(Message))


def to_row(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in _NAMES}


def from_row(row: dict[str, Any]) -> Message:
    return Message(**row)


def rfc2822(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_datetime(datetime.fromtimestamp(at_ms // 1000, UTC))


def resource(message: Message) -> dict[str, Any]:
    """The message as the REST API answers it; the sender of a service is unknown until it is queued."""
    unchosen = message.status == "accepted"
    uri = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": message.account_sid,
        "messaging_service_sid": message.service_sid,
        "from": None if unchosen else message.sender,
        "to": message.recipient,
        "body": "" if message.redacted else message.body,
        "status": message.status,
        "direction": message.direction,
        "num_segments": "0" if unchosen else str(message.segments),
        "num_media": str(message.media_count),
        "price": _price(message),
        "price_unit": "USD",
        "error_code": message.error_code,
        "error_message": message_for(message.error_code) if message.error_code else None,
        "date_created": rfc2822(message.created_ms),
        "date_updated": rfc2822(message.updated_ms),
        "date_sent": rfc2822(message.sent_ms),
        "api_version": API_VERSION,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def _price(message: Message) -> str | None:
    if message.sent_ms is None or message.direction == "inbound":
        return None
    return f"-{PRICE_PER_SEGMENT_USD * message.segments:.5f}"
