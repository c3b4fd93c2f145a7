"""Slots: when each text of a batch may be sent, so that a sending number never exceeds its rate.

Rates are in segments per second, the unit that carriers count. Times are whole microseconds since 1970. Idle time earns
no credit: the next slot is never before now, so a pause is not followed by a burst.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MICROSECONDS_PER_SECOND = 1_000_000

RATES: dict[str, float] = {"long_code": 1.0, "toll_free": 3.0, "short_code": 100.0}
"""Segments per second by type of sending number (docs/twilio.md#rates), unless a setting overrides it."""

_MAX_SEGMENTS = 11
"""Segments in 1,600 characters of GSM-7, the longest text Twilio accepts (docs/twilio.md#length)."""


@dataclass(frozen=True)
class SlotPlan:
    """`slots_us` has one time for each text that fits, in order; `next_free_us` is the sender's next free slot."""

    slots_us: tuple[int, ...]
    next_free_us: int


def plan_slots(next_free_us: int, now_us: int, horizon_us: int, rate: float, segments: Sequence[int]) -> SlotPlan:
    """Assign slots to texts in order until a slot would be after the horizon. `segments` has the count of each text."""
    free = max(next_free_us, now_us)
    slots: list[int] = []
    for count in segments:
        if free > now_us + horizon_us:
            break
        slots.append(free)
        free += round(max(count, 1) * MICROSECONDS_PER_SECOND / rate)
    return SlotPlan(tuple(slots), free if slots else next_free_us)


def max_reservation_us(rate: float, horizon_us: int) -> int:
    """How far ahead a sender can be reserved: the horizon plus one text of maximum length.

    A later reservation comes from a wrong rate or a clock that was set back, and must not block the lane.
    """
    return horizon_us + round(_MAX_SEGMENTS * MICROSECONDS_PER_SECOND / rate)


def batch_limit(horizon_us: int, rate: float, limit: int) -> int:
    """How many rows a claim reads: as many one-segment texts as fit in the horizon, up to `limit`."""
    return max(1, min(limit, int(horizon_us * rate / MICROSECONDS_PER_SECOND) + 1))


def max_lateness_us(rate: float) -> int:
    """A text that is later than this takes a new slot: sending it now would exceed the rate in that second."""
    return round(max(10_000.0, min(200_000.0, MICROSECONDS_PER_SECOND / rate)))
