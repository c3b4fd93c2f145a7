"""The order of a handset's texts whose webhooks came late or out of order (docs/consent-rules.md#ordering)."""

from collections.abc import Sequence
from itertools import accumulate

MAX_PROMPT_DELAY_MS = 60_000
"""If the webhook arrives this soon after the text was sent, our clock is more precise than Twilio's whole seconds."""
_LAST_MS_OF_SECOND = 999


def times_in_order(oldest_first: Sequence[tuple[int, int | None]], now_ms: int) -> list[int]:
    """Keep Twilio's order, with our own times where possible, but never later than the time of the next message.

    Each message is Twilio's time, in whole seconds, and when its webhook came, None if it never did.
    """
    newest_first = (_best_known_time(*message) for message in reversed(oldest_first))
    return list(accumulate(newest_first, min, initial=now_ms))[1:][::-1]


def _best_known_time(sent_ms: int, webhook_ms: int | None) -> int:
    if webhook_ms is not None and webhook_ms - sent_ms <= MAX_PROMPT_DELAY_MS:
        return webhook_ms
    return sent_ms + _LAST_MS_OF_SECOND
