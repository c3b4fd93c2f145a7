"""Time zone names, independent of the host's own zone files."""

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from portal.core.translation import gettext as _

_CONTINENTS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
_EXCLUDED_NAMES = frozenset({"Factory"})
"""tzdata's placeholder for an unconfigured host. A host's own names (localtime, posix/…) are not in the list."""


def is_timezone(name: str) -> bool:
    return name in _known_names()


def timezone_or_utc(name: str) -> ZoneInfo:
    """The zone, or UTC for an invalid name, such as one stored from a host's own zone files."""
    return ZoneInfo(name if is_timezone(name) else "UTC")


def timezone_problem(text: str) -> str | None:
    """What is wrong with a time zone name; None if it is valid."""
    return None if is_timezone(text) else _("There is no such time zone. Use a name such as America/New_York.")


def timezone_choices() -> list[str]:
    """The zones named after a city. Others, such as UTC or EST5EDT, are also valid input."""
    return sorted(zone for zone in _known_names() if zone.partition("/")[0] in _CONTINENTS)


@lru_cache(maxsize=1)
def _known_names() -> frozenset[str]:
    """The names in the tzdata package, which also has the zones if the host lacks them."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - _EXCLUDED_NAMES
