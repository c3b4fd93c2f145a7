"""Where the person behind a phone number may be: the strictest reading of area code and time zone.

A number keeps its area code when its owner moves, and an account's time zone may be out of date, so both count
(docs/consent-rules.md#where-the-recipient-is).
"""

from functools import lru_cache

from portal.accounts.rules.area_codes import OVERLAYS, STATE_BY_AREA_CODE
from portal.core.rules.limits.quiet_hours import Place
from portal.core.rules.time_zones import is_timezone

AREA_DIGITS = 4
"""The first digits of an E.164 number: in North America, the country code and the area code."""
_MAX_ZONES = 6
"""As Nunavut and its neighbors have. A number with more, such as a toll-free one, may be anywhere."""
_UNKNOWN_ZONE = "UTC"
"""What an account has if nobody knows where it is."""


def area_of(phone: str) -> str:
    """The first digits after the plus; "" for no number."""
    return phone[1 : 1 + AREA_DIGITS]


@lru_cache(maxsize=10_000)
def place_of(area: str, timezone: str) -> Place:
    """Where the owner of a number that begins with `area` may be, whose account is in the time zone.

    An account in UTC is wherever its number is, if that is known.
    """
    zones = _zones_of_area(area)
    is_known = timezone != _UNKNOWN_ZONE or not zones
    state = STATE_BY_AREA_CODE.get(area[1:], "") if area.startswith("1") else ""
    return Place(tuple(dict.fromkeys((*([timezone] if is_known else []), *zones))), state)


def _zones_of_area(area: str) -> tuple[str, ...]:
    """All zones of the region that uses the area code, () for a number that may be anywhere."""
    from phonenumbers.tzdata import TIMEZONE_DATA

    if area.startswith("1"):
        area = "1" + OVERLAYS.get(area[1:], area[1:])
    within: tuple[str, ...] = tuple(
        zone for digits, zones in TIMEZONE_DATA.items() if area and digits.startswith(area) for zone in zones
    )
    around = (TIMEZONE_DATA[area[:length]] for length in range(AREA_DIGITS, 0, -1) if area[:length] in TIMEZONE_DATA)
    known = sorted({zone for zone in within or next(around, ()) if is_timezone(zone)})
    return tuple(known) if len(known) <= _MAX_ZONES else ()
