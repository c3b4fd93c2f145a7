"""The audit log as it is read: what was steered and decided, and which settings were changed, in one list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.actions import setting_history
from portal.domain.audit_words import words_for
from portal.models import audit_log
from portal.models.audit_log import AuditEntry

SETTING = "setting_changed"
_KEPT_FOR_LINKS = ("communication", "attempt")


@dataclass(frozen=True)
class Line:
    """`subject` is what it was done to, as the log has it; `detail` what else is known, in words."""

    at_ms: int
    who: str
    action: str
    subject: str
    words: str
    detail: str
    communication_id: int | None = None


@dataclass(frozen=True)
class Place:
    """How far one has read: what comes next is older than this entry and than this change of a setting."""

    entry_id: int | None = None
    change_id: int | None = None


@dataclass(frozen=True)
class AuditPage:
    """Newest first; `older` is where the next page begins, None on the last."""

    lines: tuple[Line, ...]
    older: Place | None


def read(action: str, before: Place, size: int, now_ms: int) -> AuditPage:
    """What was done at all, or of one action of `domain.audit_words.KINDS`."""
    entries = [] if action == SETTING else audit_log.page_before(before.entry_id, size + 1, action)
    changes = [] if action not in ("", SETTING) else setting_history.lines(size + 1, "", before.change_id)
    both = [*((entry.id, _entry(entry)) for entry in entries), *((change.id, _change(change)) for change in changes)]
    both.sort(key=lambda pair: -pair[1].at_ms)
    shown = both[:size]
    lines = [line for _, line in shown]
    if before == Place() and action in ("", SETTING):
        lines += [_change(change) for change in setting_history.ended_by_itself(now_ms)]
        lines.sort(key=lambda line: -line.at_ms)
    older = Place(_last(shown, False, before.entry_id), _last(shown, True, before.change_id))
    return AuditPage(tuple(lines), older if len(both) > size else None)


def _last(shown: Sequence[tuple[int, Line]], settings: bool, otherwise: int | None) -> int | None:
    """The id of the oldest line of its kind on the page."""
    return min((id for id, line in shown if (line.action == SETTING) is settings), default=otherwise)


def _entry(entry: AuditEntry) -> Line:
    known: dict[str, Any] = entry.detail or {}
    return Line(
        at_ms=entry.at_ms,
        who=entry.actor.name if entry.actor else "The portal or the command line",
        action=entry.action,
        subject=entry.subject,
        words=words_for(entry.action, entry.subject),
        detail=_detail(known),
        communication_id=known.get("communication"),
    )


def _change(change: setting_history.Line) -> Line:
    what = f"{change.before or 'not set'} → {change.after}"
    return Line(change.at_ms, change.who, SETTING, change.name, words_for(SETTING, change.name), what)


def _detail(known: dict[str, Any]) -> str:
    """Counts and words; times of machines and ids for links are left out, and so is what is empty."""
    told = {key: value for key, value in known.items() if key not in _KEPT_FOR_LINKS and not key.endswith("_ms")}
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in told.items() if value != [])


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
