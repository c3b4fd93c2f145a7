"""Until when a sending number rests for a limit that is used up. Times are milliseconds since 1970."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from portal.domain.provider_codes import Rest

_HOUR_MS = 3_600_000
_LASTING_MS = {Rest.MINUTE: 60_000, Rest.FEW_MINUTES: 300_000, Rest.HALF_HOUR: 1_800_000}
_MIDNIGHTS: dict[Rest, tzinfo] = {Rest.PACIFIC_MIDNIGHT: ZoneInfo("America/Los_Angeles"), Rest.NEXT_DAY: UTC}
LONGEST_MS = 26 * _HOUR_MS
"""A day on which clocks are put back, and a little: what rests for longer does so by a clock that was wrong."""


def rests_until_ms(rest: Rest, tried_ms: int, former_ms: int = 0) -> int:
    """From the moment of a try that met the limit. `former_ms` is when the last rest for the same limit ended.

    A limit of the last 24 hours is not whole again at midnight: who meets it again at once rests by the hour.
    """
    if rest in _LASTING_MS:
        return tried_ms + _LASTING_MS[rest]
    if 0 <= tried_ms - former_ms < _HOUR_MS:
        return tried_ms + _HOUR_MS
    zone = _MIDNIGHTS[rest]
    day = datetime.fromtimestamp(tried_ms / 1000, zone).date() + timedelta(days=1)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
