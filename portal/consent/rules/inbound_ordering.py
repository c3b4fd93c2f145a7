"""The order of a handset's texts whose webhooks came late or out of order (docs/consent-rules.md#ordering)."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_PROMPT_DELAY_MS = 60_000
"""A webhook that comes this soon after its text was sent tells the time better than Twilio's whole seconds do."""
_LAST_MS_OF_SECOND = 999


@dataclass(frozen=True)
class ReceivedMessage:
    """`sent_ms` by Twilio's clock, in whole seconds; `received_ms` when its webhook came, None if it never did."""

    provider_id: str
    sent_ms: int
    received_ms: int | None


@dataclass(frozen=True)
class OrderedMessage:
    provider_id: str
    at_ms: int
    rank: int


def order_messages(oldest_first: Sequence[ReceivedMessage], now_ms: int) -> list[OrderedMessage]:
    """Twilio's order holds; times are ours where they can be, and never later than those of what was sent after."""
    placed: list[OrderedMessage] = []
    at_most = now_ms
    for rank, heard in reversed(list(enumerate(oldest_first))):
        at_most = min(at_most, _best_known_time(heard))
        placed.append(OrderedMessage(heard.provider_id, at_most, rank))
    return placed[::-1]


def _best_known_time(heard: ReceivedMessage) -> int:
    if heard.received_ms is not None and heard.received_ms - heard.sent_ms <= MAX_PROMPT_DELAY_MS:
        return heard.received_ms
    return heard.sent_ms + _LAST_MS_OF_SECOND
