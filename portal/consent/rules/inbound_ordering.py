"""The order of a handset's texts whose webhooks came late or out of order (docs/consent-rules.md#ordering)."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_PROMPT_DELAY_MS = 60_000
"""If the webhook arrives this soon after the text was sent, our clock is more precise than Twilio's whole seconds."""
_LAST_MS_OF_SECOND = 999


@dataclass(frozen=True)
class ReceivedMessage:
    """`sent_ms` is Twilio's time, in whole seconds; `received_ms` is when the webhook came, None if it never did."""

    provider_id: str
    sent_ms: int
    received_ms: int | None


@dataclass(frozen=True)
class OrderedMessage:
    provider_id: str
    at_ms: int
    rank: int


def order_messages(oldest_first: Sequence[ReceivedMessage], now_ms: int) -> list[OrderedMessage]:
    """Keep Twilio's order, with our own times where possible, but never later than the time of the next message."""
    newest_first: list[OrderedMessage] = []
    latest_ms = now_ms
    for rank, message in reversed(list(enumerate(oldest_first))):
        latest_ms = min(latest_ms, _best_known_time(message))
        newest_first.append(OrderedMessage(message.provider_id, latest_ms, rank))
    return newest_first[::-1]


def _best_known_time(message: ReceivedMessage) -> int:
    if message.received_ms is not None and message.received_ms - message.sent_ms <= MAX_PROMPT_DELAY_MS:
        return message.received_ms
    return message.sent_ms + _LAST_MS_OF_SECOND
