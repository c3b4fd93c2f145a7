"""Write what a filter of the audit log finds, a page of entries at a time, so that the log may have any length."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from portal.core import audit_log
from portal.core.audit_log import AuditFilter
from portal.core.extensions import db
from portal.core.rules.csv_output import BYTE_ORDER_MARK, format_row
from portal.core.rules.time_format import format_utc
from portal.core.transaction import transaction
from portal.operations import audit_trail
from portal.operations.audit_trail import AuditCursor, AuditLine

FORMATS = {"csv": "text/csv", "jsonl": "application/x-ndjson"}
_COLUMNS = ("at", "who", "action", "subject", "sentence", "detail")
_PAGE_SIZE = 1_000


def record_export(file_format: str, filters: dict[str, str], actor_id: int, now_ms: int) -> None:
    shown = {"format": file_format, **{name: value for name, value in filters.items() if value}}
    with transaction():
        audit_log.record_audit_entry("audit_log_exported", "the audit log", actor_id, now_ms, filter=shown)


def export_lines(actions: Sequence[str], entry_filter: AuditFilter, file_format: str, now_ms: int) -> Iterator[str]:
    """Newest first."""
    if file_format == "csv":
        yield BYTE_ORDER_MARK + format_row(_COLUMNS)
    cursor: AuditCursor | None = AuditCursor()
    while cursor is not None:
        lines, cursor = audit_trail.read_audit_page(actions, entry_filter, cursor, _PAGE_SIZE, now_ms)
        db.session.rollback()
        for row in map(_row, lines):
            yield format_row(list(row.values())) if file_format == "csv" else json.dumps(row, ensure_ascii=False) + "\n"


def _row(line: AuditLine) -> dict[str, Any]:
    values = (format_utc(line.at_ms), line.actor_name, line.action, line.subject, line.label, line.detail)
    return dict(zip(_COLUMNS, values, strict=True))
