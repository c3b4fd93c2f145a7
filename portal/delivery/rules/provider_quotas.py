"""How long a sending number pauses after it reaches a provider limit. Times are milliseconds since 1970."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from portal.gateways.rules.provider_codes import Cooldown

_HOUR_MS = 3_600_000
_FIXED_COOLDOWNS_MS = {Cooldown.MINUTE: 60_000, Cooldown.FEW_MINUTES: 300_000, Cooldown.HALF_HOUR: 1_800_000}
_MIDNIGHTS: dict[Cooldown, tzinfo] = {
    Cooldown.PACIFIC_MIDNIGHT: ZoneInfo("America/Los_Angeles"),
    Cooldown.NEXT_DAY: UTC,
}
MAX_COOLDOWN_MS = 26 * _HOUR_MS
"""A 25-hour day with a margin: a longer cooldown was written by a wrong clock."""


def cooldown_ends_ms(cooldown: Cooldown, attempted_at_ms: int, previous_end_ms: int = 0) -> int:
    """`previous_end_ms` is when the last cooldown for the same limit ended.

    A rolling 24-hour limit is not fully available at midnight: if it is reached again at once, wait an hour.
    """
    if cooldown in _FIXED_COOLDOWNS_MS:
        return attempted_at_ms + _FIXED_COOLDOWNS_MS[cooldown]
    if 0 <= attempted_at_ms - previous_end_ms < _HOUR_MS:
        return attempted_at_ms + _HOUR_MS
    zone = _MIDNIGHTS[cooldown]
    day = datetime.fromtimestamp(attempted_at_ms / 1000, zone).date() + timedelta(days=1)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
