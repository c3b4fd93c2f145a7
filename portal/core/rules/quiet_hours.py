"""Quiet hours: texts that can wait do, while it is night where people are (docs/consent-rules.md#quiet-hours).

They keep notifications in the bulk lane from people's own phones. What somebody asked for this moment (an invitation,
a welcome), what is urgent, and what reaches only a tester goes at any hour. Email is never held.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from portal.core.rules.routing import Mode, TextKind
from portal.core.rules.time_zones import timezone_or_utc

QuietHoursLookup = Callable[[str], int | None]
"""Of a time zone: when its quiet hours end, None where it is not in them."""


@dataclass(frozen=True)
class QuietHours:
    """Local times of day. They begin at `begin` and last until `end`, over midnight where that is the earlier one."""

    begin: time
    end: time

    def ends_ms(self, now_ms: int, zone: str) -> int | None:
        """When they end for somebody in that zone who is in them now, in milliseconds since 1970; None outside them."""
        local = datetime.fromtimestamp(now_ms / 1000, timezone_or_utc(zone))
        over_midnight = self.end <= self.begin
        late, early = local.time() >= self.begin, local.time() < self.end
        if not (late or early if over_midnight else late and early):
            return None
        return _at(local, self.end, days=1 if over_midnight and late else 0)

    def begins_ms(self, now_ms: int, zone: str) -> int:
        """When they begin next for somebody in that zone who is not in them now."""
        local = datetime.fromtimestamp(now_ms / 1000, timezone_or_utc(zone))
        return _at(local, self.begin, days=0 if local.time() < self.begin else 1)

    def lookup_at(self, now_ms: int) -> QuietHoursLookup:
        """`ends_ms` at one moment, worked out once for each zone: there may be 100,000 people in it."""
        return lru_cache(maxsize=None)(lambda zone: self.ends_ms(now_ms, zone))

    def __str__(self) -> str:
        return f"{self.begin:%H:%M} to {self.end:%H:%M}"


def is_subject_to_quiet_hours(kind: str, urgent: bool, mode: Mode) -> bool:
    """Whether quiet hours are for such a text at all."""
    return kind == TextKind.NOTIFICATION and not urgent and mode is Mode.LIVE


def no_quiet_hours(_zone: str) -> int | None:
    """Where there are no quiet hours."""
    return None


def _at(local: datetime, moment: time, days: int) -> int:
    """That time of the local day, so many days on; where the clocks go forward over it, the moment after the gap."""
    there = datetime.combine(local.date() + timedelta(days=days), moment, local.tzinfo)
    return round(there.astimezone(UTC).timestamp() * 1000)
