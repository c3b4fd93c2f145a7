"""Time zones: the names that every host has, whatever its own folder of zones holds."""

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_CONTINENTS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
_EXCLUDED_NAMES = frozenset({"Factory"})
"""What stands in the list for a host that nobody has set up. A host's own names (localtime, posix/…) are not in it."""


def is_timezone(name: str) -> bool:
    return name in _known_names()


def timezone_or_utc(name: str) -> ZoneInfo:
    """UTC for a name that is none, such as one that an older version took from its host."""
    return ZoneInfo(name if is_timezone(name) else "UTC")


def timezone_problem(text: str) -> str | None:
    """What is wrong with the name of a time zone; None when nothing is."""
    return None if is_timezone(text) else "There is no such time zone. Use a name such as America/New_York."


def timezone_choices() -> list[str]:
    """The time zones that people know: by a city of theirs. Others, such as UTC or EST5EDT, are taken when typed."""
    return sorted(zone for zone in _known_names() if zone.partition("/")[0] in _CONTINENTS)


@lru_cache(maxsize=1)
def _known_names() -> frozenset[str]:
    """As shipped with the package tzdata, which also has the zones themselves where a host lacks them."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - _EXCLUDED_NAMES
