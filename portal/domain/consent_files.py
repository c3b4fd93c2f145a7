"""Files of consent: opt-outs and opt-ins as they come in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from portal.domain import csv_input, text_input
from portal.domain.csv_input import Cells, Mistake, Reading
from portal.domain.folding import same
from portal.domain.moments import Moment, MomentError, read_moment
from portal.domain.phone_cells import phone_of

STOP_COLUMNS = ("phone", "stopped_at", "reason")
OPT_IN_COLUMNS = ("external_id", "phone", "opted_in_at", "evidence")
LONGEST_WORDS = 1_000
"""Characters of a reason or of evidence."""


@dataclass(frozen=True)
class StopRow:
    """`row` as a spreadsheet counts; `at_ms` is None where the file does not say when.

    Where it says no more than the `day`, the opt-out counts from the end of it: it may have come after a START of that
    day, and a STOP wins where nobody knows.
    """

    row: int
    number: str
    at_ms: int | None
    reason: str
    day: str = ""


@dataclass(frozen=True)
class OptInRow:
    row: int
    external_id: str
    number: str
    at_ms: int
    evidence: str
    day: str = ""


def read_stops(text: str, region: str, now_ms: int) -> Reading[StopRow]:
    """A number a line, or a CSV whose first row names `STOP_COLUMNS` (only phone must be there).

    Raises `CsvError` when the text as a whole cannot be read.
    """
    if not csv_input.has_column(text, "phone"):
        return csv_input.read_list(text, "phone", _stop(region, now_ms))
    return csv_input.read(text, STOP_COLUMNS, ("phone",), _stop(region, now_ms))


def read_opt_ins(text: str, region: str, now_ms: int) -> Reading[OptInRow]:
    """A CSV whose first row names `OPT_IN_COLUMNS`. Raises `CsvError` when it cannot be read as a whole."""
    found = csv_input.read(text, OPT_IN_COLUMNS, OPT_IN_COLUMNS, _opt_in(region, now_ms))
    mistakes = sorted([*found.mistakes, *_twice(found.rows)], key=lambda mistake: mistake.row)
    return replace(found, mistakes=mistakes)


def _stop(region: str, now_ms: int) -> Callable[[Cells], StopRow]:
    def read(cells: Cells) -> StopRow:
        number, said = _number(cells, region), _moment(cells, "stopped_at", now_ms)
        return StopRow(
            row=cells.row,
            number=number,
            at_ms=said.last_ms(now_ms) if said else None,
            reason=_words(cells, "reason"),
            day=said.day if said else "",
        )

    return read


def _opt_in(region: str, now_ms: int) -> Callable[[Cells], OptInRow]:
    def read(cells: Cells) -> OptInRow:
        external_id, number = text_input.code(cells["external_id"]), _number(cells, region)
        said, evidence = _moment(cells, "opted_in_at", now_ms), _words(cells, "evidence")
        if not external_id:
            cells.refuse("external_id", "Whose opt-in is it? Give the account's number.")
        if not cells["opted_in_at"]:
            cells.refuse("opted_in_at", "Say when, like 2026-03-01T14:30:00Z, or on which day, like 2026-03-01.")
        if not evidence:
            cells.refuse("evidence", "Say how the person agreed, such as: paper form of 3 March, in the file.")
        return OptInRow(cells.row, external_id, number, said.at_ms if said else 0, evidence, said.day if said else "")

    return read


def _number(cells: Cells, region: str) -> str:
    """A spreadsheet may have put an apostrophe before the plus."""
    typed = cells["phone"].strip(" '\"")
    if any(mark in typed for mark in ",;\t|"):
        cells.refuse("phone", "One number a line; or name the columns in row 1: phone,stopped_at,reason.")
        return ""
    return phone_of(cells, "phone", typed, region)


def _moment(cells: Cells, column: str, now_ms: int) -> Moment | None:
    text = text_input.code(cells[column])
    try:
        return read_moment(text, UTC, now_ms) if text else None
    except MomentError as error:
        cells.refuse(column, str(error))
        return None


def _words(cells: Cells, column: str) -> str:
    text = text_input.lines(cells[column]).strip()
    if len(text) > LONGEST_WORDS:
        cells.refuse(column, f"Keep it to {LONGEST_WORDS:,} characters; this has {len(text):,}.")
    return text


def _twice(rows: Sequence[OptInRow]) -> list[Mistake]:
    first: dict[tuple[str, str], int] = {}
    mistakes = []
    for row in rows:
        key = same(row.external_id), row.number
        if key in first:
            mistakes.append(
                Mistake(row.row, "phone", f"{row.external_id} with this number is in row {first[key]:,} already.")
            )
        first.setdefault(key, row.row)
    return mistakes
