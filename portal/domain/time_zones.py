"""Time zones: the names that every host has, whatever its own folder of zones holds."""

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_CONTINENTS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
_NO_ZONES = frozenset({"Factory"})
"""What stands in the list for a host that nobody has set up. A host's own names (localtime, posix/…) are not in it."""


def is_zone(name: str) -> bool:
    return name in _names()


def zone_of(name: str) -> ZoneInfo:
    """UTC for a name that is none, such as one that an older version took from its host."""
    return ZoneInfo(name if is_zone(name) else "UTC")


def check_timezone(text: str) -> str | None:
    """What is wrong with the name of a time zone; None when nothing is."""
    return None if is_zone(text) else "There is no such time zone. Use a name such as America/New_York."


def cities() -> list[str]:
    """The time zones that people know: by a city of theirs. Others, such as UTC or EST5EDT, are taken when typed."""
    return sorted(zone for zone in _names() if zone.partition("/")[0] in _CONTINENTS)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    """As shipped with the package tzdata, which also has the zones themselves where a host lacks them."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - _NO_ZONES
