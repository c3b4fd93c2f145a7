"""The audit log for reading: recorded actions and changes of settings in one list."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select

from portal.accounts.tables.account_search import match_conditions
from portal.accounts.tables.accounts import Account
from portal.core import audit_log
from portal.core.audit_log import AuditEntry, AuditFilter
from portal.core.translation import gettext as _
from portal.operations.rules.audit_labels import LINK_KEYS, SUBJECT_KINDS, describe_action, describe_detail
from portal.settings import setting_history
from portal.settings.tables import setting_values
from portal.settings.tables.setting_values import SettingChange

SETTING_CHANGED = "setting_changed"


@dataclass(frozen=True)
class AuditLine:
    """`subject` is stored and unlabelled; `detail` is additional text, `links` the ids of what it is about."""

    at_ms: int
    actor_name: str
    action: str
    subject: str
    detail: str
    links: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return describe_action(self.action, self.subject)


@dataclass(frozen=True)
class AuditCursor:
    """The oldest audit entry and the oldest change of a setting already shown; the page continues before them."""

    entry_id: int | None = None
    change_id: int | None = None


def read_audit_page(
    actions: Sequence[str], entry_filter: AuditFilter, before: AuditCursor, size: int, now_ms: int
) -> tuple[list[AuditLine], AuditCursor | None]:
    """Lines, newest first, and the cursor of the next page; None on the last page.

    `actions` are keys of `operations.rules.audit_labels.ACTION_LABELS`; none for all. Both lists stay in the order of
    their ids, because the cursor does: an import may record an entry long after the time that it has.
    """
    has_entries, has_changes = actions != [SETTING_CHANGED], not actions or SETTING_CHANGED in actions
    entries = audit_log.audit_page_before(before.entry_id, size + 1, actions, entry_filter) if has_entries else []
    changes = setting_values.history_entries(size + 1, (), before.change_id, entry_filter) if has_changes else []
    lists: tuple[Sequence[AuditEntry | SettingChange], ...] = (entries, changes)
    rows = list(heapq.merge(*lists, key=lambda row: -row.at_ms))
    page_rows = rows[:size]
    lines = [_entry_line(row) if isinstance(row, AuditEntry) else _change_line(row) for row in page_rows]
    if before == AuditCursor() and has_changes:
        expiries = setting_history.expired_switches(now_ms)
        lines += [_change_line(expiry) for expiry in expiries if entry_filter.includes_portal(expiry.at_ms)]
    lines.sort(key=lambda line: -line.at_ms)
    if len(rows) <= size:
        return lines, None
    entry_ids = [row.id for row in page_rows if isinstance(row, AuditEntry)]
    change_ids = [row.id for row in page_rows if isinstance(row, SettingChange)]
    return lines, AuditCursor(min(entry_ids, default=before.entry_id), min(change_ids, default=before.change_id))


def actors_matching(text: str) -> Select[Any] | None:
    """The ids of the accounts that a search finds; None for an empty search."""
    return select(Account.id).where(*match_conditions(text)) if text.strip() else None


def subjects_named(text: str) -> list[str]:
    """How the log may call what somebody types, such as P-1 for account P-1; none for an empty text."""
    return [text, *(f"{kind} {text}" for kind in SUBJECT_KINDS)] if text.strip() else []


def _entry_line(entry: AuditEntry) -> AuditLine:
    detail: dict[str, Any] = entry.detail or {}
    return AuditLine(
        at_ms=entry.at_ms,
        actor_name=entry.actor.name if entry.actor else _("Portal or command line"),
        action=entry.action,
        subject=entry.subject,
        detail=describe_detail(detail),
        links={name: detail[name] for name in LINK_KEYS if detail.get(name)},
    )


def _change_line(change: SettingChange) -> AuditLine:
    not_set = _("not set")
    detail = f"{change.old_value or not_set} → {change.new_value or not_set}"
    return AuditLine(change.at_ms, change.changed_by, SETTING_CHANGED, change.name, detail)
