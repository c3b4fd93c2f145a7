"""Local times of day as instants, also on the days on which the clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from portal.core.rules.time_zones import timezone_or_utc


def local_instant_ms(day: date, at: time, zone_name: str) -> int:
    """A time that the clock skips is the moment of the change; of a time that comes twice, it is the first."""
    zone = timezone_or_utc(zone_name)
    local = datetime.combine(day, at, zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        instant = _next_change(local.replace(fold=1).astimezone(UTC), instant, zone)
    return round(instant.timestamp() * 1000)


def local_day(at_ms: int, zone_name: str) -> date:
    return datetime.fromtimestamp(at_ms / 1000, timezone_or_utc(zone_name)).date()


def _next_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """When the offset changes between two moments, to the second."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
