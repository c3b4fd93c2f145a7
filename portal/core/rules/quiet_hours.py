"""Quiet hours: texts that can wait are deferred at night (docs/consent-rules.md#quiet-hours).

They apply to notifications in the bulk lane and to answers by administrators, if they go to recipients' own phones.
Invitations and welcomes, urgent texts, and texts that reach only a tester are sent at any hour, and so is email.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

from portal.core.rules.routing import Mode, TextKind
from portal.core.rules.time_zones import timezone_or_utc
from portal.core.translation import gettext as _

QuietHoursLookup = Callable[[str], int | None]
"""Maps a time zone to the end of its current quiet hours in milliseconds; None outside quiet hours."""


@dataclass(frozen=True)
class QuietHours:
    """Local times of day. If `end` is not after `begin`, quiet hours last past midnight."""

    begin: time
    end: time

    def ends_ms(self, now_ms: int, zone: str) -> int | None:
        """When the current quiet hours end in the zone, in milliseconds since 1970; None outside quiet hours."""
        local = datetime.fromtimestamp(now_ms / 1000, timezone_or_utc(zone))
        spans_midnight = self.end <= self.begin
        after_begin, before_end = local.time() >= self.begin, local.time() < self.end
        if not (after_begin or before_end if spans_midnight else after_begin and before_end):
            return None
        return _local_time_ms(local, self.end, days=1 if spans_midnight and after_begin else 0)

    def begins_ms(self, now_ms: int, zone: str) -> int:
        """When the next quiet hours begin in the zone, in milliseconds since 1970, if it is not in them now."""
        local = datetime.fromtimestamp(now_ms / 1000, timezone_or_utc(zone))
        return _local_time_ms(local, self.begin, days=0 if local.time() < self.begin else 1)

    def lookup_at(self, now_ms: int) -> QuietHoursLookup:
        """`ends_ms` at `now_ms`, cached by zone: one may have 100,000 recipients."""
        return lru_cache(maxsize=None)(lambda zone: self.ends_ms(now_ms, zone))

    def __str__(self) -> str:
        return _("%(begin)s to %(end)s", begin=f"{self.begin:%H:%M}", end=f"{self.end:%H:%M}")


def is_subject_to_quiet_hours(kind: str, urgent: bool, mode: Mode) -> bool:
    can_wait = kind == TextKind.ANSWER or (kind == TextKind.NOTIFICATION and not urgent)
    return can_wait and mode is Mode.LIVE


def no_quiet_hours(_zone: str) -> int | None:
    """The lookup if no quiet hours are configured."""
    return None


def _local_time_ms(local: datetime, at: time, days: int) -> int:
    """`at` on the local day plus `days`; if daylight saving time skips it, the time after the gap."""
    target = datetime.combine(local.date() + timedelta(days=days), at, local.tzinfo)
    return round(target.astimezone(UTC).timestamp() * 1000)
