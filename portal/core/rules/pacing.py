"""Slots: when each text of a batch may leave, so that a sending number never exceeds its rate.

The rate is in segments per second, as carriers count. Times are whole microseconds since 1970. A number that stood idle
gets no credit for it: the next slot is never before now, so a pause is not caught up in a burst.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MICROSECONDS_PER_SECOND = 1_000_000

RATES: dict[str, float] = {"long_code": 1.0, "toll_free": 3.0, "short_code": 100.0}
"""Segments per second by type of number (docs/twilio.md#rates); an explicit setting overrides them."""

_MAX_SEGMENTS = 11
"""Segments in 1,600 characters of GSM-7, the longest text Twilio takes (docs/twilio.md#length)."""

DEFAULT_RATE = RATES["long_code"]


@dataclass(frozen=True)
class SlotPlan:
    """`slots_us` has one time for each text taken, in order; `next_free_us` is what the sender's row becomes."""

    slots_us: tuple[int, ...]
    next_free_us: int


def plan_slots(next_free_us: int, now_us: int, horizon_us: int, rate: float, segments: Sequence[int]) -> SlotPlan:
    """Give slots to the texts, first come first served, until one would leave later than the horizon."""
    free = max(next_free_us, now_us)
    slots: list[int] = []
    for count in segments:
        if free > now_us + horizon_us:
            break
        slots.append(free)
        free += round(max(count, 1) * MICROSECONDS_PER_SECOND / rate)
    return SlotPlan(tuple(slots), free if slots else next_free_us)


def max_reservation_us(rate: float, horizon_us: int) -> int:
    """How far ahead a sender can rightly be taken: a horizon and its longest text. A clock set back, or a rate that was
    a mistake, must not hold the lane any longer."""
    return horizon_us + round(_MAX_SEGMENTS * MICROSECONDS_PER_SECOND / rate)


def batch_limit(horizon_us: int, rate: float, limit: int) -> int:
    """How many one-segment texts a horizon can hold; a claim reads no more rows than that."""
    return max(1, min(limit, int(horizon_us * rate / MICROSECONDS_PER_SECOND) + 1))
