"""Import opt-outs from a file, after a preview: all of them or none.

An opt-out that is already in the ledger is counted and not written again, so importing a file twice does no harm.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portal.consent import recording
from portal.consent.account_import import ImportRejected
from portal.consent.rules import consent_csv
from portal.consent.rules.consent_csv import OptOutRow
from portal.consent.rules.consent_state import EventKind, LedgerEvent, derive_state, state_after
from portal.consent.tables import ledger
from portal.core.actor import Actor
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.rules.csv_input import CsvResult, RowError
from portal.core.rules.time_format import start_of_day_ms
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import ngettext
from portal.gateways import queue


@dataclass(frozen=True)
class OptOutImportPlan:
    """`opt_outs` are to be written; `superseded` of them are older than a START, so those numbers keep their texts.

    `already_opted_out` counts numbers that are opted out or have the same opt-out in the ledger, `duplicates` repeated
    lines.
    """

    opt_outs: list[OptOutRow]
    superseded: int
    already_opted_out: int
    duplicates: int
    warnings: Sequence[RowError] = ()

    @property
    def newly_opted_out(self) -> int:
        return len(self.opt_outs) - self.superseded

    @property
    def summary(self) -> str:
        """What the import did, for people."""
        new, kept, known, repeated = self.newly_opted_out, self.superseded, self.already_opted_out, self.duplicates
        sentences = [
            ngettext("%(num)s number was opted out.", "%(num)s numbers were opted out.", new),
            ngettext(
                "%(num)s sent START after the opt-out and still gets texts.",
                "%(num)s sent START after the opt-out and still get texts.",
                kept,
            )
            if kept
            else "",
            ngettext("%(num)s was already opted out.", "%(num)s were already opted out.", known) if known else "",
            ngettext("%(num)s appeared more than once.", "%(num)s appeared more than once.", repeated)
            if repeated
            else "",
        ]
        return " ".join(filter(None, sentences))


def plan_opt_outs(text: str, _actor: Actor, now_ms: int) -> OptOutImportPlan:
    """Preview an import. Raises `ImportRejected` for errors in rows, `ActionRefused` for the text as a whole.

    Whoever imports may opt anybody out, also a system administrator: nobody is texted who said STOP.
    """
    return _plan(_read_valid_rows(text, now_ms), now_ms)


def import_opt_outs(
    text: str,
    actor: Actor,
    now_ms: int,
    before_commit: Callable[[OptOutImportPlan], None] = lambda _plan: None,
    task_id: int | None = None,
) -> OptOutImportPlan:
    """Opt the numbers out and return what was done. Raises as `plan_opt_outs` does, and then nothing was done.

    `before_commit` belongs to the same transaction.
    """
    result = _read_valid_rows(text, now_ms)
    with transaction():
        ledger.lock_ledger()
        plan = _plan(result, now_ms)
        ledger.append(*(_event(row, actor, now_ms) for row in plan.opt_outs))
        recording.recompute([row.number for row in plan.opt_outs], now_ms)
        detail = {"opted_out": plan.newly_opted_out, "already_opted_out": plan.already_opted_out}
        record_audit_entry("opt_outs_imported", "a file", actor.account_id, now_ms, **detail, task_id=task_id)
        before_commit(plan)
    queue.enqueue(settings().redis_url, "drain_sms")
    return plan


def check_rows(result: CsvResult[Any], more_errors: Sequence[RowError] = ()) -> None:
    """Raises `ImportRejected` for errors in rows, `ActionRefused` if there are no rows."""
    if errors := [*result.errors, *more_errors]:
        raise ImportRejected(errors, result.stopped_at_row)
    if not result.rows:
        raise ActionRefused(_("There is nothing to import."))


def _read_valid_rows(text: str, now_ms: int) -> CsvResult[OptOutRow]:
    result = consent_csv.read_opt_outs(text, settings().region, now_ms)
    check_rows(result)
    return result


def _plan(result: CsvResult[OptOutRow], now_ms: int) -> OptOutImportPlan:
    rows_by_number: dict[str, list[OptOutRow]] = defaultdict(list)
    for row in result.rows:
        rows_by_number[row.number].append(row)
    newest = {number: max(rows, key=lambda row: _time_ms(row, now_ms)) for number, rows in rows_by_number.items()}
    events_by_number = ledger.events_by_number(list(newest))
    opt_outs, superseded = [], 0
    for number, row in newest.items():
        events = events_by_number.get(number, [])
        if derive_state(events).stopped_at_ms is not None or _is_recorded(events, row):
            continue
        opt_outs.append(row)
        superseded += state_after(events, EventKind.STOP, _time_ms(row, now_ms)).stopped_at_ms is None
    recorded, duplicates = len(newest) - len(opt_outs), len(result.rows) - len(newest)
    return OptOutImportPlan(opt_outs, superseded, recorded, duplicates, result.warnings)


def _time_ms(row: OptOutRow, now_ms: int) -> int:
    """An opt-out without a time counts from now."""
    return now_ms if row.at_ms is None else row.at_ms


def _is_recorded(events: Sequence[LedgerEvent], row: OptOutRow) -> bool:
    first_ms = start_of_day_ms(row.day, "UTC") if row.day else row.at_ms
    if first_ms is None or row.at_ms is None:
        return False
    return any(event.kind == EventKind.STOP and first_ms <= event.at_ms <= row.at_ms for event in events)


def _event(row: OptOutRow, actor: Actor, now_ms: int) -> dict[str, Any]:
    columns = {"text": row.reason, "occurred_at_ms": _time_ms(row, now_ms), **actor.ledger_columns}
    return recording.imported_event(row.row, row.day, now_ms, number=row.number, kind=EventKind.STOP, **columns)
