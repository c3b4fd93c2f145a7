"""Quiet hours: texts that can wait are deferred at night (docs/consent-rules.md#quiet-hours).

They apply to notifications in the bulk lane and to answers by administrators, if they go to recipients' own phones.
Invitations and welcomes, urgent texts, and texts that reach only a tester are sent at any hour, and so is email.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from portal.core.rules.routing import Mode, TextKind
from portal.core.rules.time_zones import timezone_or_utc
from portal.core.translation import gettext as _

DEFAULT_QUIET_HOURS, OFF = "20:00-08:00", "off"
SUNDAYS_BEGIN = {"TX": time(12)}
"""When texts may begin on Sundays, in the states that say so. The default window covers the rules of the others."""
_SUNDAY, _MIDNIGHT = 7, time(0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WEEK_MS = 8 * 86_400_000
"""With a day for the clocks. If no minute of a week is permitted in all zones of a place, none ever is."""


class Place(NamedTuple):
    """Where a recipient may be: a text must be permitted in all of the `zones`, by the rules of the `state`.

    Where it never is, only the first zone counts. The state is the abbreviation of one of the United States, or "".
    """

    zones: tuple[str, ...]
    state: str = ""


QuietHoursLookup = Callable[[str, str], int | None]
"""Maps a phone number and its account's time zone to the end of the current quiet hours in milliseconds, or None."""


@dataclass(frozen=True)
class QuietHours:
    """Local times of day. If `end` is not after `begin`, quiet hours last past midnight."""

    begin: time
    end: time

    def ends_ms(self, now_ms: int, place: Place) -> int | None:
        """When the current quiet hours end at the place, in milliseconds since 1970; None outside quiet hours."""
        if not self._is_quiet(now_ms, place):
            return None
        ends_ms = self._next_change_ms(now_ms, place)
        return self.ends_ms(now_ms, _first_zone_of(place)) if ends_ms is None else ends_ms

    def begins_ms(self, now_ms: int, place: Place) -> int:
        """When the next quiet hours begin at the place, in milliseconds since 1970, if it is not in them now."""
        never_permitted = self._is_quiet(now_ms, place)
        begins_ms = self._next_change_ms(now_ms, _first_zone_of(place) if never_permitted else place)
        return now_ms + 1 if begins_ms is None else begins_ms

    def lookup_at(self, now_ms: int) -> Callable[[Place], int | None]:
        """`ends_ms` at `now_ms`, cached by place: one may have 100,000 recipients."""
        return lru_cache(maxsize=None)(lambda place: self.ends_ms(now_ms, place))

    def _is_quiet(self, at_ms: int, place: Place) -> bool:
        return any(self._is_quiet_in_zone(at_ms, zone, place.state) for zone in place.zones)

    def _is_quiet_in_zone(self, at_ms: int, zone: str, state: str) -> bool:
        local = datetime.fromtimestamp(at_ms / 1000, timezone_or_utc(zone))
        if local.isoweekday() == _SUNDAY and local.time() < SUNDAYS_BEGIN.get(state, _MIDNIGHT):
            return True
        after_begin, before_end = local.time() >= self.begin, local.time() < self.end
        return after_begin or before_end if self.end <= self.begin else after_begin and before_end

    def _next_change_ms(self, now_ms: int, place: Place) -> int | None:
        """When quiet hours begin or end next; None if they always last, because no minute is permitted in all zones."""
        was_quiet, at_ms = self._is_quiet(now_ms, place), now_ms
        while at_ms < now_ms + _WEEK_MS:
            at_ms = min(self._next_boundary_ms(at_ms, zone, place.state) for zone in place.zones)
            if self._is_quiet(at_ms, place) != was_quiet:
                return at_ms
        return None

    def _next_boundary_ms(self, now_ms: int, zone: str, state: str) -> int:
        """The next time at which something may change in the zone: on the same day or the next one."""
        today = datetime.fromtimestamp(now_ms / 1000, timezone_or_utc(zone)).date()
        times = {self.begin, self.end, _MIDNIGHT, SUNDAYS_BEGIN.get(state, _MIDNIGHT)}
        days = (today, today + timedelta(days=1))
        return min(
            at_ms for day in days for local in times for at_ms in _instants_ms(day, local, zone) if at_ms > now_ms
        )

    def __str__(self) -> str:
        return _("%(begin)s to %(end)s", begin=f"{self.begin:%H:%M}", end=f"{self.end:%H:%M}")


def parse_quiet_hours(text: str) -> QuietHours | None:
    """None for no quiet hours. Raises `ValueError` unless the text is "off" or two times such as 20:00-08:00."""
    if text.strip().lower() == OFF:
        return None
    begin, end = (time.fromisoformat(part.strip().zfill(2)) for part in text.split("-") if part.strip())
    if begin == end or begin.tzinfo or end.tzinfo:
        raise ValueError(text)
    return QuietHours(begin, end)


def is_subject_to_quiet_hours(kind: str, urgent: bool, mode: Mode) -> bool:
    can_wait = kind == TextKind.ANSWER or (kind == TextKind.NOTIFICATION and not urgent)
    return can_wait and mode is Mode.LIVE


def no_quiet_hours(_phone: str, _timezone: str) -> int | None:
    """The lookup if no quiet hours are configured."""
    return None


def _instants_ms(day: date, local: time, zone: str) -> tuple[int, int]:
    """When it is that time in the zone: twice in an hour that is repeated, and after the gap where one is skipped."""
    at = datetime.combine(day, local, timezone_or_utc(zone))
    return _to_ms(at), _to_ms(at.replace(fold=1))


def _to_ms(at: datetime) -> int:
    """The next whole millisecond, as an earlier one would still belong to the time before."""
    return -((_EPOCH - at.astimezone(UTC)) // timedelta(milliseconds=1))


def _first_zone_of(place: Place) -> Place:
    return place._replace(zones=place.zones[:1])
