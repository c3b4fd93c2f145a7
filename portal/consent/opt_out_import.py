"""Import opt-outs from a file, after a preview: all of them or none.

An opt-out that is already in the ledger is counted and not written again, so importing a file twice does no harm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portal.consent import recording
from portal.consent.account_import import ImportRejected
from portal.consent.rules import consent_csv
from portal.consent.rules.consent_csv import OptOutRow
from portal.consent.rules.consent_state import ConsentState, EventKind, LedgerEvent, derive_state
from portal.consent.tables import ledger
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.rules import csv_input
from portal.core.rules.csv_input import CsvError, CsvResult, DecodedFile, Row, RowError
from portal.core.rules.time_format import start_of_day_ms
from portal.core.transaction import transaction
from portal.gateways import queue

_HYPOTHETICAL_ID = 2**62


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
        sentences = [
            f"{self.newly_opted_out:,} {'number was' if self.newly_opted_out == 1 else 'numbers were'} opted out.",
            f"{self.superseded:,} sent START after the opt-out and still get texts." if self.superseded else "",
            f"{self.already_opted_out:,} {'was' if self.already_opted_out == 1 else 'were'} already opted out."
            if self.already_opted_out
            else "",
            f"{self.duplicates:,} appeared more than once." if self.duplicates else "",
        ]
        return " ".join(filter(None, sentences))


def decode(raw: bytes) -> DecodedFile:
    """Raises `ActionRefused` if the file cannot be read as text."""
    try:
        return csv_input.decode_csv(raw)
    except CsvError as error:
        raise ActionRefused(str(error)) from error


def plan_opt_outs(text: str, now_ms: int) -> OptOutImportPlan:
    """Preview an import. Raises `ImportRejected` for errors in rows, `ActionRefused` for the text as a whole."""
    return _plan(_read_valid_rows(text, now_ms), now_ms)


def import_opt_outs(text: str, actor: Actor, now_ms: int) -> OptOutImportPlan:
    """Opt the numbers out and return what was done. Raises as `plan_opt_outs` does, and then nothing was done."""
    result = _read_valid_rows(text, now_ms)
    with transaction():
        ledger.lock_ledger()
        plan = _plan(result, now_ms)
        ledger.append(*(_event(row, actor, now_ms) for row in plan.opt_outs))
        recording.recompute_many([row.number for row in plan.opt_outs], now_ms)
    queue.enqueue(settings().redis_url, "drain_sms")
    return plan


def read_rows(read: Callable[[], CsvResult[Row]]) -> CsvResult[Row]:
    """Raises `ActionRefused` if the text cannot be read as a whole, or has no rows."""
    try:
        result = read()
    except CsvError as error:
        raise ActionRefused(str(error)) from error
    if not result.rows and not result.errors:
        raise ActionRefused("There is nothing to import.")
    return result


def raise_row_errors(errors: Sequence[RowError], stopped_at: int | None) -> None:
    if errors:
        raise ImportRejected(errors, stopped_at)


def state_after(
    events: Sequence[LedgerEvent], kind: EventKind, at_ms: int, account_id: int | None = None
) -> ConsentState:
    """The state of a number if this event happened as well."""
    return derive_state([*events, LedgerEvent(_HYPOTHETICAL_ID, kind, at_ms, account_id)])


def _read_valid_rows(text: str, now_ms: int) -> CsvResult[OptOutRow]:
    result = read_rows(lambda: consent_csv.read_opt_outs(text, settings().region, now_ms))
    raise_row_errors(result.errors, result.stopped_at_row)
    return result


def _plan(result: CsvResult[OptOutRow], now_ms: int) -> OptOutImportPlan:
    rows = result.rows
    newest = _newest_by_number(rows, now_ms)
    events_by_number = ledger.events_by_number(list(newest))
    opt_outs, superseded = [], 0
    for number, row in newest.items():
        events = events_by_number.get(number, [])
        if derive_state(events).stopped_at_ms is not None or _is_recorded(events, row):
            continue
        opt_outs.append(row)
        superseded += state_after(events, EventKind.STOP, _opt_out_time_ms(row, now_ms)).stopped_at_ms is None
    return OptOutImportPlan(opt_outs, superseded, len(newest) - len(opt_outs), len(rows) - len(newest), result.warnings)


def _newest_by_number(rows: Sequence[OptOutRow], now_ms: int) -> dict[str, OptOutRow]:
    """Map each number to its last opt-out in the file."""
    newest: dict[str, OptOutRow] = {}
    for row in rows:
        current = newest.get(row.number)
        if current is None or _opt_out_time_ms(current, now_ms) < _opt_out_time_ms(row, now_ms):
            newest[row.number] = row
    return newest


def _opt_out_time_ms(row: OptOutRow, now_ms: int) -> int:
    """An opt-out without a time counts from now."""
    return now_ms if row.at_ms is None else row.at_ms


def _is_recorded(events: Sequence[LedgerEvent], row: OptOutRow) -> bool:
    first_ms = start_of_day_ms(row.day, "UTC") if row.day else row.at_ms
    if first_ms is None or row.at_ms is None:
        return False
    return any(event.kind == EventKind.STOP and first_ms <= event.at_ms <= row.at_ms for event in events)


def _event(row: OptOutRow, actor: Actor, now_ms: int) -> dict[str, Any]:
    return {
        "number": row.number,
        "kind": EventKind.STOP,
        "source": "import",
        **actor.ledger_columns,
        "text": row.reason,
        "detail": {"row": row.row} | ({"day": row.day} if row.day else {}),
        "occurred_at_ms": _opt_out_time_ms(row, now_ms),
        "recorded_at_ms": now_ms,
    }
