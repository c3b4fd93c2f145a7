"""One text message in either direction, and its representation in Twilio's API (docs/twilio.md#messages)."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from simulator.error_codes import error_message
from simulator.settings import API_VERSION

PRICE_PER_SEGMENT_USD = 0.0079
FINAL_STATUSES = frozenset({"delivered", "undelivered", "failed", "received"})
AUTO_REPLY = "twilio-auto-reply"
"""The simulator's own direction for the STOP, START and HELP replies that Twilio sends. Its API never lists them."""


@dataclass(slots=True)
class Message:
    sid: str
    account_sid: str
    from_number: str
    to_number: str
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
    forced_code: int | None = None  # error code that a fault set when the message was created
    redacted: bool = False
    deleted: bool = False
    seq: int = 0  # position in the order of acceptance
    receipts: list[dict[str, Any]] = field(default_factory=list)  # webhook requests about this message, with responses

    @property
    def handset(self) -> str:
        return self.from_number if self.direction == "inbound" else self.to_number

    @property
    def is_on_handset(self) -> bool:
        return self.direction == "inbound" or self.reached_ms is not None

    @property
    def is_undelivered(self) -> bool:
        return self.status in ("undelivered", "failed")

    @property
    def handset_ms(self) -> int:
        return self.reached_ms or self.created_ms


_FIELDS = tuple(field.name for field in fields(Message))


def to_row(message: Message) -> dict[str, Any]:
    """`asdict` would copy every value."""
    return {name: getattr(message, name) for name in _FIELDS}


def rfc2822(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_datetime(datetime.fromtimestamp(at_ms // 1000, UTC))


def message_resource(message: Message) -> dict[str, Any]:
    """The Message resource. A messaging service has not chosen its sending number while the status is `accepted`."""
    no_sender_yet = message.status == "accepted"
    uri = f"/{API_VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": message.account_sid,
        "messaging_service_sid": message.service_sid,
        "from": None if no_sender_yet else message.from_number,
        "to": message.to_number,
        "body": "" if message.redacted else message.body,
        "status": message.status,
        "direction": message.direction,
        "num_segments": "0" if no_sender_yet else str(message.segments),
        "num_media": str(message.media_count),
        "price": _price(message),
        "price_unit": "USD",
        "error_code": message.error_code,
        "error_message": error_message(message.error_code) if message.error_code else None,
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
