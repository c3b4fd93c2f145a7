"""The settings that say when and how often a person may be texted; each has a default that protects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from portal.core.rules.limits.frequency_cap import DEFAULT_FREQUENCY_CAP, parse_frequency_cap
from portal.core.rules.limits.quiet_hours import DEFAULT_QUIET_HOURS, QuietHours, parse_quiet_hours

QUIET_HOURS, FREQUENCY_CAP = "SmsQuietHours", "SmsFrequencyCap"
_Limit = TypeVar("_Limit")


@dataclass(frozen=True)
class TextLimits:
    """None for no quiet hours, and for no cap."""

    quiet_hours: QuietHours | None
    frequency_cap: int | None


def text_limits(values: Mapping[str, Any]) -> TextLimits:
    """Stored values win over the defaults, which count as well for a value that another hand or release has written."""
    return TextLimits(
        _limit(parse_quiet_hours, values.get(QUIET_HOURS), DEFAULT_QUIET_HOURS),
        _limit(parse_frequency_cap, values.get(FREQUENCY_CAP), DEFAULT_FREQUENCY_CAP),
    )


def _limit(parse: Callable[[str], _Limit | None], stored: Any, default: str) -> _Limit | None:
    try:
        return parse(str(stored or default))
    except ValueError:
        return parse(default)
