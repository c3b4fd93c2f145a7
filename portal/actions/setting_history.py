"""Who changed which setting, when; and the ends that nobody wrote down, since nobody was there."""

from dataclasses import dataclass

from portal.actions.settings import configuration
from portal.domain.app_config import DEFINITIONS
from portal.models.gateway import SettingChange, latest_changes, setting_changes


@dataclass(frozen=True)
class Line:
    """`id` is 0 for an end that is not written down; `until_ms` when the switch was to end by itself."""

    id: int
    name: str
    before: str
    after: str
    until_ms: int | None
    at_ms: int
    who: str


def lines(limit: int, name: str = "", before_id: int | None = None) -> list[Line]:
    """What was written down, the newest first, of one setting or of all."""
    return [_line(row) for row in setting_changes(limit, name, before_id)]


def ended_by_itself(now_ms: int, name: str = "") -> list[Line]:
    """Switches that are over and were not touched since."""
    ends = configuration().ends
    return [
        Line(0, key, "true", "false", None, ends[key], "It ended by itself")
        for key in ([name] if name else DEFINITIONS)
        if key in ends and ends[key] <= now_ms
    ]


def last_lines(now_ms: int) -> dict[str, Line]:
    """The newest line of each setting that has one."""
    written = {row.name: _line(row) for row in latest_changes()}
    return written | {line.name: line for line in ended_by_itself(now_ms)}


def _line(row: SettingChange) -> Line:
    return Line(row.id, row.name, row.before, row.after, row.until_ms, row.at_ms, _who(row))


def _who(row: SettingChange) -> str:
    if row.how == "end":
        return "It ended by itself"
    return row.changed_by.name if row.changed_by else "The command line"
