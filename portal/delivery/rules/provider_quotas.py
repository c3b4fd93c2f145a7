"""Until when a sending number rests for a limit that is used up. Times are milliseconds since 1970."""

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
"""A day on which clocks are put back, and a little: what rests for longer does so by a clock that was wrong."""


def cooldown_ends_ms(cooldown: Cooldown, attempted_at_ms: int, previous_end_ms: int = 0) -> int:
    """From the moment of a try that met the limit. `former_ms` is when the last rest for the same limit ended.

    A limit of the last 24 hours is not whole again at midnight: who meets it again at once rests by the hour.
    """
    if cooldown in _FIXED_COOLDOWNS_MS:
        return attempted_at_ms + _FIXED_COOLDOWNS_MS[cooldown]
    if 0 <= attempted_at_ms - previous_end_ms < _HOUR_MS:
        return attempted_at_ms + _HOUR_MS
    zone = _MIDNIGHTS[cooldown]
    day = datetime.fromtimestamp(attempted_at_ms / 1000, zone).date() + timedelta(days=1)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
