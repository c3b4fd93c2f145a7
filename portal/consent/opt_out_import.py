"""Opt-outs brought in from a file: looked at first, then written whole or not at all.

What is in the ledger already is counted and not written again, so the same file twice does no harm.
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
    """`stops` are to be written; `overtaken` of them are older than a START, and those numbers stay on.

    `already` counts numbers that are opted out, or have this very opt-out in the ledger; `twice` repeated lines.
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
        """What was done, in words."""
        said = [
            f"{self.newly_opted_out:,} {'number is' if self.newly_opted_out == 1 else 'numbers are'} opted out.",
            f"{self.superseded:,} said START after the opt-out and stay on." if self.superseded else "",
            f"{self.already_opted_out:,} {'was' if self.already_opted_out == 1 else 'were'} opted out already_opted_out."
            if self.already_opted_out
            else "",
            f"{self.duplicates:,} came more than once." if self.duplicates else "",
        ]
        return " ".join(filter(None, said))


def decode(raw: bytes) -> DecodedFile:
    """A file's text. Raises `Refused`."""
    try:
        return csv_input.decode_csv(raw)
    except CsvError as error:
        raise ActionRefused(str(error)) from error


def plan_opt_outs(text: str, now_ms: int) -> OptOutImportPlan:
    """What an import would do. Raises `ImportRejected` (rows) or `Refused` (the text as a whole)."""
    return _plan(_read_valid_rows(text, now_ms), now_ms)


def import_opt_outs(text: str, asker: Actor, now_ms: int) -> OptOutImportPlan:
    """What was done: the numbers are silent from now on. Raises as `plan_opt_outs` does, and then nothing was done."""
    found = _read_valid_rows(text, now_ms)
    with transaction():
        ledger.lock_ledger()
        plan = _plan(found, now_ms)
        ledger.append(*(_event(row, asker, now_ms) for row in plan.opt_outs))
        recording.recompute_many([row.number for row in plan.opt_outs], now_ms)
    queue.enqueue(settings().redis_url, "drain_sms")
    return plan


def read_rows(read: Callable[[], CsvResult[Row]]) -> CsvResult[Row]:
    """What was read. Raises `Refused` when it cannot be read as a whole, or nothing is in it."""
    try:
        found = read()
    except CsvError as error:
        raise ActionRefused(str(error)) from error
    if not found.rows and not found.errors:
        raise ActionRefused("There is nothing in it to import.")
    return found


def raise_row_errors(mistakes: Sequence[RowError], stopped_at: int | None) -> None:
    if mistakes:
        raise ImportRejected(mistakes, stopped_at)


def state_after(
    story: Sequence[LedgerEvent], kind: EventKind, at_ms: int, account_id: int | None = None
) -> ConsentState:
    """How a number would stand if this had happened there too."""
    return derive_state([*story, LedgerEvent(_HYPOTHETICAL_ID, kind, at_ms, account_id)])


def _read_valid_rows(text: str, now_ms: int) -> CsvResult[OptOutRow]:
    found = read_rows(lambda: consent_csv.read_opt_outs(text, settings().region, now_ms))
    raise_row_errors(found.errors, found.stopped_at_row)
    return found


def _plan(found: CsvResult[OptOutRow], now_ms: int) -> OptOutImportPlan:
    rows = found.rows
    newest = _newest_by_number(rows, now_ms)
    events_by_number = ledger.events_by_number(list(newest))
    stops, overtaken = [], 0
    for number, row in newest.items():
        story = events_by_number.get(number, [])
        if derive_state(story).stopped_at_ms is not None or _is_recorded(story, row):
            continue
        stops.append(row)
        overtaken += state_after(story, EventKind.STOP, _opt_out_time_ms(row, now_ms)).stopped_at_ms is None
    return OptOutImportPlan(stops, overtaken, len(newest) - len(stops), len(rows) - len(newest), found.warnings)


def _newest_by_number(rows: Sequence[OptOutRow], now_ms: int) -> dict[str, OptOutRow]:
    """Of a number that comes more than once, the opt-out that was said last."""
    newest: dict[str, OptOutRow] = {}
    for row in rows:
        other = newest.get(row.number)
        if other is None or _opt_out_time_ms(other, now_ms) < _opt_out_time_ms(row, now_ms):
            newest[row.number] = row
    return newest


def _opt_out_time_ms(row: OptOutRow, now_ms: int) -> int:
    """Where the file does not say when, the opt-out counts from now."""
    return now_ms if row.at_ms is None else row.at_ms


def _is_recorded(story: Sequence[LedgerEvent], row: OptOutRow) -> bool:
    first_ms = start_of_day_ms(row.day, "UTC") if row.day else row.at_ms
    if first_ms is None or row.at_ms is None:
        return False
    return any(event.kind == EventKind.STOP and first_ms <= event.at_ms <= row.at_ms for event in story)


def _event(row: OptOutRow, asker: Actor, now_ms: int) -> dict[str, Any]:
    return {
        "number": row.number,
        "kind": EventKind.STOP,
        "source": "import",
        **asker.ledger_columns,
        "text": row.reason,
        "detail": {"row": row.row} | ({"day": row.day} if row.day else {}),
        "occurred_at_ms": _opt_out_time_ms(row, now_ms),
        "recorded_at_ms": now_ms,
    }
