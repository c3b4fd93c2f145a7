"""Simulate a lane in which sends take turns, one text each, while quiet hours begin and end in the time zones.

Texts are modelled as a fluid: between quiet-hours boundaries and completions the rates are constant.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from math import inf

from portal.core.rules.quiet_hours import QuietHours

_MAX_INTERVALS = 20_000
"""Years of quiet hours. A send that takes longer effectively never ends."""
_EPSILON = 1e-6


@dataclass(eq=False)
class SimulatedBacklog:
    """The unsent texts of one send by the recipients' time zone; `segments_per_text` is an average."""

    texts: dict[str, float]
    segments_per_text: float

    @property
    def remaining(self) -> float:
        return sum(self.texts.values())

    def sendable(self, quiet_zones: Set[str]) -> float:
        return sum(count for zone, count in self.texts.items() if zone not in quiet_zones)

    def remove_texts(self, count: float, quiet_zones: Set[str]) -> None:
        """Remove texts from the zones without quiet hours, in proportion."""
        share = count / self.sendable(quiet_zones)
        for zone in self.texts.keys() - quiet_zones:
            self.texts[zone] *= max(0.0, 1 - share)


def simulate_lane(
    backlog: SimulatedBacklog,
    others: Sequence[SimulatedBacklog],
    begins_ms: float,
    rate: float,
    hours: QuietHours | None = None,
    deadline_ms: float = inf,
) -> tuple[float, float]:
    """Drain `backlog` at `rate` segments per second. Return when it ends, and the texts that remain at the deadline."""
    backlogs = [backlog, *others]
    elapsed_ms = 0.0  # relative to the start, because floats are too coarse for milliseconds since 1970
    deadline_after_ms = deadline_ms - begins_ms
    remaining = backlog.remaining if deadline_after_ms < 0 else 0.0
    for _ in range(_MAX_INTERVALS):
        if backlog.remaining < _EPSILON:
            break
        quiet_zones, boundary_after_ms = _quiet_zones(backlogs, hours, begins_ms + elapsed_ms)
        active = [item for item in backlogs if item.sendable(quiet_zones) > _EPSILON]
        texts_per_ms = rate / 1000 / sum(item.segments_per_text for item in active) if active else 0.0
        interval_ms = min([boundary_after_ms, *(item.sendable(quiet_zones) / texts_per_ms for item in active)])
        if elapsed_ms <= deadline_after_ms < elapsed_ms + interval_ms:
            sent = texts_per_ms * (deadline_after_ms - elapsed_ms) if backlog in active else 0.0
            remaining = backlog.remaining - sent
        for item in active:
            item.remove_texts(texts_per_ms * interval_ms, quiet_zones)
        elapsed_ms += interval_ms
    return begins_ms + elapsed_ms, remaining


def _quiet_zones(backlogs: list[SimulatedBacklog], hours: QuietHours | None, now_ms: float) -> tuple[Set[str], float]:
    """The zones in quiet hours, and the milliseconds until that set changes."""
    if hours is None:
        return frozenset(), inf
    now = round(now_ms)
    zones = {zone for backlog in backlogs for zone, count in backlog.texts.items() if count > _EPSILON}
    ends = {zone: end_ms for zone in zones if (end_ms := hours.ends_ms(now, zone)) is not None}
    begins = [hours.begins_ms(now, zone) for zone in zones - ends.keys()]
    return ends.keys(), max(1.0, min([*ends.values(), *begins], default=inf) - now_ms)
