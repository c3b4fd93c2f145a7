"""Export communications in a worker, in parts that are kept in the database for a day (ADR 45).

A part and how far the export has come are one transaction, which belongs to one run. So a worker that dies leaves whole
parts, the next run continues behind them, and a worker that comes second stops the first one.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from portal.core import audit_log
from portal.core.context import settings
from portal.core.coordination import RunTakenOver, begin_run, update_run
from portal.core.database_retry import giving_up_on_full_disk
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.text_input import clean_line
from portal.core.rules.time_zones import timezone_or_utc
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.records.rules.export_columns import cells, column_names
from portal.records.rules.export_formats import FORMATS
from portal.records.rules.search_line import (
    InvalidSearch,
    SearchQuery,
    Viewer,
    parse_search_line,
    tokens,
    without_language,
)
from portal.records.tables import communication_exports, export_rows
from portal.records.tables.communication_exports import CommunicationExport, ExportPart, ExportState

JOB = "export_communications"
KEPT_MS = 86_400_000
LISTED_MS = 30 * KEPT_MS
"""For so long the list says that there was an export; the audit log says it for good."""
MAX_REASON_LENGTH = 300
_BATCH_SIZE = 1_000
_GAVE_UP = N_("The export was tried five times and never finished. Nothing of it is kept.")
_TOO_MANY_ROWS = N_("A workbook holds 1,048,575 rows and a heading. Export as CSV, or filter the list further.")
_DISK_FULL = N_("The disk of the database is full. Nothing of the export is kept. Make room, then try again.")


@dataclass
class _ExportRun:
    """The next part has the communications below `next_id`."""

    export_id: int
    number: int
    search: SearchQuery
    with_sms: bool
    file_format: str
    time_zone: str
    is_masked: bool
    next_id: int
    part_count: int
    row_count: int
    byte_count: int


def create_export(
    line: str,
    with_sms: bool,
    file_format: str,
    unmasked_reason: str,
    time_zone: str,
    author_id: int,
    now_ms: int,
) -> int:
    """Without a reason, phone numbers and email addresses are masked.

    Raises `InvalidSearch` for a line that cannot be understood, and `InvalidInput` for `reason` and `format`.
    """
    line, reason = clean_line(line), clean_line(unmasked_reason)
    if errors := _errors(file_format, reason):
        raise InvalidInput(errors)
    parse_search_line(line, Viewer(time_zone, settings().region, now_ms))
    newest_id = export_rows.newest_id()
    export = CommunicationExport(
        search_line=without_language(line),
        with_sms=with_sms,
        format=file_format,
        time_zone=time_zone,
        unmasked_reason=reason,
        newest_id=newest_id,
        next_id=newest_id + 1,
        created_by_id=author_id,
        created_at_ms=now_ms,
    )
    with transaction() as session:
        session.add(export)
        session.flush()
        export_id = export.id
        _audit("communications_exported", export, author_id, now_ms)
    queue.enqueue(settings().redis_url, JOB, export_id)
    return export_id


def _search(export: CommunicationExport) -> SearchQuery:
    """As the line was understood when the export was asked for."""
    return parse_search_line(export.search_line, Viewer(export.time_zone, settings().region, export.created_at_ms))


def _errors(file_format: str, reason: str) -> dict[str, str]:
    errors = {} if file_format in FORMATS else {"format": _("Choose a format.")}
    if len(reason) > MAX_REASON_LENGTH:
        limit = {"limit": MAX_REASON_LENGTH, "used": len(reason)}
        errors["reason"] = _("Use %(limit)s characters or fewer. You have used %(used)s.", **limit)
    return errors


def run_export(
    export_id: int, clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False, seconds: float = 20.0
) -> None:
    """Export for about `seconds`, so that other work in the queue does not wait longer; the next job continues.

    An unexpected error leaves the export pending: it is tried again, and given up after some attempts.
    """
    ends_ms = clock() + round(seconds * 1000)
    run = _begin_run(export_id, clock())
    if run is None:
        return
    with suppress(RunTakenOver), giving_up_on_full_disk(lambda: _fail(run, _DISK_FULL, clock())):
        while _write_part(run):
            if run.row_count > FORMATS[run.file_format].max_rows:
                _fail(run, _TOO_MANY_ROWS, clock())
                return
            if should_stop() or clock() >= ends_ms:
                return
        _update(run, state=ExportState.DONE, finished_at_ms=clock(), expires_at_ms=clock() + KEPT_MS)


def _fail(run: _ExportRun, problem: str, now_ms: int) -> None:
    _update(run, state=ExportState.FAILED, problem=problem, finished_at_ms=now_ms)
    _delete_parts()


def remove_export(export_id: int, actor_id: int, now_ms: int) -> None:
    """Cancel it, or delete what can be downloaded. Raises `ActionRefused` if there is nothing to remove."""
    with transaction() as session:
        export = session.get(CommunicationExport, export_id, with_for_update=True)
        if export is None or export.state not in (ExportState.PENDING, ExportState.DONE):
            raise ActionRefused(_("This export is already over."))
        export.state, export.finished_at_ms = ExportState.REMOVED, export.finished_at_ms or now_ms
        audit_log.record_audit_entry("export_removed", f"export {export_id}", actor_id, now_ms)
    _delete_parts()


def retry_export(export_id: int, actor_id: int, now_ms: int) -> None:
    """Continue an export, or begin one again that failed. Raises `ActionRefused`."""
    with transaction() as session:
        export = session.get(CommunicationExport, export_id, with_for_update=True)
        if export is None or export.state not in (ExportState.PENDING, ExportState.FAILED) or _has_old_parts(export):
            raise ActionRefused(_("This export is already over."))
        if export.state == ExportState.FAILED:
            export.state, export.problem, export.finished_at_ms = ExportState.PENDING, "", None
            export.next_id, export.row_count, export.byte_count = export.newest_id + 1, 0, 0
        export.attempts = 0
        audit_log.record_audit_entry("job_retried", f"export {export_id}", actor_id, now_ms)
    queue.enqueue(settings().redis_url, JOB, export_id)


def _has_old_parts(export: CommunicationExport) -> bool:
    """Those of a failed export are deleted at once, or in the next round of maintenance."""
    return export.state == ExportState.FAILED and export.part_count > 0


def download(export: CommunicationExport, actor_id: int, now_ms: int) -> Iterator[bytes]:
    """The file, piece by piece. The audit log has an entry of each download."""
    columns, stored = column_names(export.with_sms), communication_exports.parts(export.id, export.part_count)
    pieces = FORMATS[export.format].assemble(columns, map(zlib.decompress, stored))
    with transaction():
        _audit("export_downloaded", export, actor_id, now_ms)
    return pieces


def delete_old_exports(now_ms: int) -> None:
    with transaction():
        communication_exports.remove_expired(now_ms)
        communication_exports.delete_ended(now_ms - LISTED_MS)
    _delete_parts()


def _begin_run(export_id: int, now_ms: int) -> _ExportRun | None:
    with transaction():
        export = begin_run(CommunicationExport, export_id, now_ms, _GAVE_UP)
        if export is None:
            return None
        try:
            search = _search(export)
        except InvalidSearch as error:  # a number without a country code, and the region has been changed
            export.state, export.problem, export.finished_at_ms = ExportState.FAILED, str(error), now_ms
            return None
        return _ExportRun(
            export_id,
            export.run_number,
            search,
            export.with_sms,
            export.format,
            export.time_zone,
            not export.unmasked_reason,
            export.next_id,
            export.part_count,
            export.row_count,
            export.byte_count,
        )


def _write_part(run: _ExportRun) -> bool:
    """Write the next rows. Returns whether there may be more."""
    rows = export_rows.rows_below(run.search, run.with_sms, run.next_id, _BATCH_SIZE)
    db.session.rollback()
    if not rows:
        return False
    columns, zone = column_names(run.with_sms), timezone_or_utc(run.time_zone)
    batch = [cells(row, columns, zone, run.is_masked) for row in rows]
    content = FORMATS[run.file_format].write_rows(columns, batch).encode("utf-8", "replace")
    run.next_id, run.part_count = rows[-1].id, run.part_count + 1
    run.row_count, run.byte_count = run.row_count + len(rows), run.byte_count + len(content)
    progress = {"next_id": run.next_id, "row_count": run.row_count, "byte_count": run.byte_count}
    part = ExportPart(export_id=run.export_id, number=run.part_count, content=zlib.compress(content))
    _update(run, part, part_count=run.part_count, attempts=0, **progress)
    return len(rows) == _BATCH_SIZE


def _update(run: _ExportRun, *parts: ExportPart, **columns: Any) -> None:
    with transaction() as session:
        update_run(CommunicationExport, run.export_id, run.number, **columns)
        session.add_all(parts)


def _delete_parts() -> None:
    """In small transactions."""
    while True:
        with transaction():
            if not communication_exports.delete_some_parts():
                return


def _audit(action: str, export: CommunicationExport, actor_id: int, now_ms: int) -> None:
    """Without the words of a search and whom it is about, which may be a phone number."""
    filters = [token.text for token in tokens(export.search_line) if token.prefix not in ("", "to", "number")]
    detail = {
        "format": export.format.upper(),
        "search": " ".join(filters),
        "reason": export.unmasked_reason,
        "rows": export.row_count,
    }
    shown = {name: value for name, value in detail.items() if value}
    audit_log.record_audit_entry(action, f"export {export.id}", actor_id, now_ms, **shown)
