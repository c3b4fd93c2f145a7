"""The settings that say when and how often a person may be texted; each has a default that protects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from portal.core.rules.limits.frequency_cap import DEFAULT_FREQUENCY_CAP, MAX_CAP, parse_frequency_cap
from portal.core.rules.limits.quiet_hours import DEFAULT_QUIET_HOURS, OFF, QuietHours, parse_quiet_hours
from portal.core.translation import N_
from portal.core.translation import gettext as _

QUIET_HOURS, FREQUENCY_CAP = "SmsQuietHours", "SmsFrequencyCap"
LIMIT_DEFAULTS = {QUIET_HOURS: DEFAULT_QUIET_HOURS, FREQUENCY_CAP: DEFAULT_FREQUENCY_CAP}
LIMIT_VARIABLES = {QUIET_HOURS: "PORTAL_QUIET_HOURS", FREQUENCY_CAP: "PORTAL_FREQUENCY_CAP"}
"""The environment variable that counts instead of the setting, where it is set."""
_PARSERS: dict[str, Callable[[str], QuietHours | int | None]] = {
    "quiet_hours": parse_quiet_hours,
    "cap": parse_frequency_cap,
}
_RULES = {
    "quiet_hours": N_("%(name)s must be two different times such as %(default)s, or off, or empty for %(default)s."),
    "cap": N_("%(name)s must be a number of texts from 1 to %(limit)s, or off, or empty for %(default)s."),
}
LIMIT_KINDS = frozenset(_RULES)
_Limit = TypeVar("_Limit")


@dataclass(frozen=True)
class TextLimits:
    """None for no quiet hours, and for no cap."""

    quiet_hours: QuietHours | None
    frequency_cap: int | None


def text_limits(values: Mapping[str, Any]) -> TextLimits:
    """Stored values win over the defaults, which count as well for a value that another hand or release has written."""
    return TextLimits(
        _limit(parse_quiet_hours, values, QUIET_HOURS), _limit(parse_frequency_cap, values, FREQUENCY_CAP)
    )


def _limit(parse: Callable[[str], _Limit | None], values: Mapping[str, Any], name: str) -> _Limit | None:
    try:
        return parse(str(values.get(name) or LIMIT_DEFAULTS[name]))
    except ValueError:
        return parse(LIMIT_DEFAULTS[name])


def parse_limit(kind: str, text: str) -> str | None:
    """The stored value: text in one form, or None for the default. Raises `ValueError`."""
    if not text:
        return None
    limit = _PARSERS[kind](text)
    if isinstance(limit, QuietHours):
        return f"{limit.begin:%H:%M}-{limit.end:%H:%M}"
    return OFF if limit is None else str(limit)


def limit_rule(name: str, kind: str) -> str:
    """What a valid value is, as a sentence."""
    return _(_RULES[kind], name=name, default=LIMIT_DEFAULTS[name], limit=MAX_CAP)
