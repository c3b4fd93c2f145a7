"""How texts drain through a lane: sends take turns, a text each, while night falls and lifts over the time zones.

As a fluid: in a stretch of time in which nobody falls asleep, wakes or is done, everything flows evenly.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from math import inf

from portal.core.rules.quiet_hours import QuietHours

_MAX_INTERVALS = 20_000
"""Years of nights: whatever is not done by then is as good as never."""
_EPSILON = 1e-6


@dataclass(eq=False)
class SimulatedBacklog:
    """What one send has still to let go: texts by the time zone of the person, and the segments that each weighs."""

    texts: dict[str, float]
    segments_per_text: float

    @property
    def remaining(self) -> float:
        return sum(self.texts.values())

    def sendable(self, asleep: Set[str]) -> float:
        return sum(number for zone, number in self.texts.items() if zone not in asleep)

    def remove_texts(self, number: float, asleep: Set[str]) -> None:
        """So many of those who are awake, of each zone its share."""
        share = number / self.sendable(asleep)
        for zone in self.texts.keys() - asleep:
            self.texts[zone] *= max(0.0, 1 - share)


@dataclass(frozen=True)
class SimulationResult:
    """`ends_ms` is when the last text has left; `late` how many were still there at the time asked about."""

    ends_ms: float
    remaining_at_deadline: float


def simulate_lane(
    mine: SimulatedBacklog,
    others: Sequence[SimulatedBacklog],
    begins_ms: float,
    rate: float,
    hours: QuietHours | None = None,
    deadline_ms: float = inf,
) -> SimulationResult:
    """Of `mine`, taking turns with the `others`, at `rate` segments a second from `begins_ms` on."""
    pools, gone_ms = [mine, *others], 0.0  # counted from the beginning: in milliseconds since 1970 floats are coarse
    asked_at = deadline_ms - begins_ms
    late = mine.remaining if asked_at < 0 else 0.0
    for _ in range(_MAX_INTERVALS):
        if mine.remaining < _EPSILON:
            break
        asleep, changes_ms = _quiet_zones(pools, hours, begins_ms + gone_ms)
        flowing = [pool for pool in pools if pool.sendable(asleep) > _EPSILON]
        each = rate / 1000 / sum(pool.segments_per_text for pool in flowing) if flowing else 0.0
        lasts_ms = min([changes_ms, *(pool.sendable(asleep) / each for pool in flowing)])
        if gone_ms <= asked_at < gone_ms + lasts_ms:
            late = mine.remaining - (each * (asked_at - gone_ms) if mine in flowing else 0.0)
        for pool in flowing:
            pool.remove_texts(each * lasts_ms, asleep)
        gone_ms += lasts_ms
    return SimulationResult(begins_ms + gone_ms, late)


def _quiet_zones(pools: Sequence[SimulatedBacklog], hours: QuietHours | None, now_ms: float) -> tuple[Set[str], float]:
    """The zones in which it is night now, and in how many milliseconds that changes for the first of all."""
    if hours is None:
        return frozenset(), inf
    now = round(now_ms)
    zones = {zone for pool in pools for zone, number in pool.texts.items() if number > _EPSILON}
    ends = {zone: end_ms for zone in zones if (end_ms := hours.ends_ms(now, zone)) is not None}
    begins = [hours.begins_ms(now, zone) for zone in zones - ends.keys()]
    return ends.keys(), max(1.0, min([*ends.values(), *begins], default=inf) - now_ms)
