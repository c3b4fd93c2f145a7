"""The audit log as it is read: what was steered and decided, and which settings were changed, in one list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.core import audit_log
from portal.core.audit_log import AuditEntry
from portal.operations.rules.audit_labels import describe_action
from portal.settings import setting_history

SETTING_CHANGED = "setting_changed"
_LINK_KEYS = ("communication", "attempt")


@dataclass(frozen=True)
class AuditLine:
    """`subject` is what it was done to, as the log has it; `detail` what else is known, in words."""

    at_ms: int
    actor_name: str
    action: str
    subject: str
    label: str
    detail: str
    communication_id: int | None = None


@dataclass(frozen=True)
class AuditCursor:
    """How far one has read: what comes next is older than this entry and than this change of a setting."""

    before_entry_id: int | None = None
    before_change_id: int | None = None


@dataclass(frozen=True)
class AuditPage:
    """Newest first; `older` is where the next page begins, None on the last."""

    lines: tuple[AuditLine, ...]
    next_cursor: AuditCursor | None


def read_audit_page(action: str, before: AuditCursor, size: int, now_ms: int) -> AuditPage:
    """What was done at all, or of one action of `operations.rules.audit_labels.KINDS`."""
    entries = [] if action == SETTING_CHANGED else audit_log.audit_page_before(before.before_entry_id, size + 1, action)
    changes = (
        []
        if action not in ("", SETTING_CHANGED)
        else setting_history.history_entries(size + 1, "", before.before_change_id)
    )
    both = [
        *((entry.id, _line_of_entry(entry)) for entry in entries),
        *((change.id, _line_of_change(change)) for change in changes),
    ]
    both.sort(key=lambda pair: -pair[1].at_ms)
    shown = both[:size]
    lines = [line for _, line in shown]
    if before == AuditCursor() and action in ("", SETTING_CHANGED):
        lines += [_line_of_change(change) for change in setting_history.expired_switches(now_ms)]
        lines.sort(key=lambda line: -line.at_ms)
    older = AuditCursor(
        _oldest_id(shown, False, before.before_entry_id), _oldest_id(shown, True, before.before_change_id)
    )
    return AuditPage(tuple(lines), older if len(both) > size else None)


def _oldest_id(shown: Sequence[tuple[int, AuditLine]], settings: bool, otherwise: int | None) -> int | None:
    """The id of the oldest line of its kind on the page."""
    return min((id for id, line in shown if (line.action == SETTING_CHANGED) is settings), default=otherwise)


def _line_of_entry(entry: AuditEntry) -> AuditLine:
    known: dict[str, Any] = entry.detail or {}
    return AuditLine(
        at_ms=entry.at_ms,
        actor_name=entry.actor.name if entry.actor else "The portal or the command line",
        action=entry.action,
        subject=entry.subject,
        label=describe_action(entry.action, entry.subject),
        detail=_format_detail(known),
        communication_id=known.get("communication"),
    )


def _line_of_change(change: setting_history.SettingHistoryEntry) -> AuditLine:
    what = f"{change.before or 'not set'} → {change.after}"
    return AuditLine(
        change.at_ms,
        change.changed_by,
        SETTING_CHANGED,
        change.name,
        describe_action(SETTING_CHANGED, change.name),
        what,
    )


def _format_detail(known: dict[str, Any]) -> str:
    """Counts and words; times of machines and ids for links are left out, and so is what is empty."""
    told = {key: value for key, value in known.items() if key not in _LINK_KEYS and not key.endswith("_ms")}
    return ", ".join(f"{key.replace('_', ' ')} {_format_value(value)}" for key, value in told.items() if value != [])


def _format_value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
