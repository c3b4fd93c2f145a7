"""Files of consent: opt-outs and opt-ins as they come in, and cells that a spreadsheet does not run as they go out."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from portal.domain.phone import PhoneError, to_e164
from portal.domain.roster import Mistake, RosterError

STOP_COLUMNS = ("phone", "stopped_at", "reason")
OPT_IN_COLUMNS = ("external_id", "phone", "opted_in_at", "evidence")
LONGEST_WORDS = 1_000
"""Characters of a reason or of evidence."""
_FIRST_TEXT_MS = 723_168_000_000
"""The first text message ever: 3 December 1992. What is older is a mistyped year."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class StopRow:
    """`row` as a spreadsheet counts; `at_ms` is None where the file does not say when."""

    row: int
    number: str
    at_ms: int | None
    reason: str


@dataclass(frozen=True)
class OptInRow:
    row: int
    external_id: str
    number: str
    at_ms: int
    evidence: str


Row = TypeVar("Row", StopRow, OptInRow)


class _CellError(ValueError):
    """One cell is wrong: its column, and a sentence."""

    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(sentence)
        self.column = column


def read_stops(text: str, region: str, now_ms: int) -> tuple[list[StopRow], list[Mistake]]:
    """A number a line, or a CSV whose first row names `STOP_COLUMNS` (only phone must be there).

    Raises `RosterError` when the text as a whole cannot be read.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    names = [name.strip(' "').lower() for name in first.split(_delimiter(first))]
    if "phone" not in names:
        return _read(enumerate(([line] for line in text.splitlines()), 1), ["phone"], _stop(region, now_ms))
    return _read_csv(text, STOP_COLUMNS, ("phone",), _stop(region, now_ms))


def read_opt_ins(text: str, region: str, now_ms: int) -> tuple[list[OptInRow], list[Mistake]]:
    """A CSV whose first row names `OPT_IN_COLUMNS`. Raises `RosterError` when it cannot be read as a whole."""
    rows, mistakes = _read_csv(text, OPT_IN_COLUMNS, OPT_IN_COLUMNS, _opt_in(region, now_ms))
    return rows, sorted([*mistakes, *_twice(rows)], key=lambda mistake: mistake.row)


def safe_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula. A phone number stays as it is: it has digits only."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" \n").startswith(_FORMULA) and not _E164.match(text) else text


def _read_csv(
    text: str, columns: Sequence[str], required: Sequence[str], read: Callable[[int, dict[str, str]], Row]
) -> tuple[list[Row], list[Mistake]]:
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_delimiter(first))
    try:
        header = _header(next(reader, []), columns, required)
        return _read(enumerate(reader, 2), header, read)
    except csv.Error as error:
        raise RosterError(f"Row {reader.line_num:,} is not CSV: {error}.") from error


def _read(
    numbered: Iterator[tuple[int, list[str]]], header: Sequence[str], read: Callable[[int, dict[str, str]], Row]
) -> tuple[list[Row], list[Mistake]]:
    rows: list[Row] = []
    mistakes: list[Mistake] = []
    for row, cells in numbered:
        if not any(cell.strip() for cell in cells):
            continue
        try:
            rows.append(read(row, _by_name(header, cells)))
        except _CellError as error:
            mistakes.append(Mistake(row, error.column, str(error)))
    return rows, mistakes


def _by_name(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) > len(header):
        raise _CellError("whole row", f"There are {len(cells)} cells for {len(header)} columns.")
    return dict(zip(header, (cell.strip() for cell in cells), strict=False))


def _header(cells: Sequence[str], columns: Sequence[str], required: Sequence[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    missing = [column for column in required if column not in names]
    unknown = [name or "(no name)" for name in names if name not in columns]
    if missing or unknown or len(set(names)) < len(names):
        problems = [
            f"missing: {', '.join(missing)}" if missing else "",
            f"not known: {', '.join(unknown[:5])}" if unknown else "",
            "some are named twice" if not missing and not unknown else "",
        ]
        found = "; ".join(filter(None, problems))
        raise RosterError(f"The columns in row 1 are not right ({found}). They are {','.join(columns)}.")
    return names


def _stop(region: str, now_ms: int) -> Callable[[int, dict[str, str]], StopRow]:
    def read(row: int, cells: dict[str, str]) -> StopRow:
        number = _number(cells.get("phone", ""), region)
        text = cells.get("stopped_at", "")
        at_ms = _moment("stopped_at", text, now_ms) if text else None
        return StopRow(row, number, at_ms, _words("reason", cells.get("reason", "")))

    return read


def _opt_in(region: str, now_ms: int) -> Callable[[int, dict[str, str]], OptInRow]:
    def read(row: int, cells: dict[str, str]) -> OptInRow:
        external_id = cells.get("external_id", "")
        if not external_id:
            raise _CellError("external_id", "Whose opt-in is it? Give the account's number.")
        number = _number(cells.get("phone", ""), region)
        at_ms = _moment("opted_in_at", cells.get("opted_in_at", ""), now_ms)
        evidence = _words("evidence", cells.get("evidence", ""))
        if not evidence:
            raise _CellError("evidence", "Say how the person agreed, such as: paper form of 3 March, in the file.")
        return OptInRow(row, external_id, number, at_ms, evidence)

    return read


def _number(text: str, region: str) -> str:
    """A spreadsheet may have put an apostrophe before the plus."""
    typed = text.strip(" '\"")
    if "," in typed or ";" in typed or "\t" in typed:
        raise _CellError("phone", "One number a line; or name the columns in row 1: phone,stopped_at,reason.")
    try:
        return to_e164(typed, region)
    except PhoneError as error:
        raise _CellError("phone", str(error)) from error


def _moment(column: str, text: str, now_ms: int) -> int:
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        at_ms = round(aware.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise _CellError(column, "Write the time like 2026-03-01T14:30:00Z, or the day like 2026-03-01.") from error
    if at_ms > now_ms:
        raise _CellError(column, "This lies in the future.")
    if at_ms < _FIRST_TEXT_MS:
        raise _CellError(column, "Check the year: there were no texts then.")
    return at_ms


def _words(column: str, text: str) -> str:
    if len(text) > LONGEST_WORDS:
        raise _CellError(column, f"Keep it to {LONGEST_WORDS:,} characters; this has {len(text):,}.")
    return text


def _twice(rows: Sequence[OptInRow]) -> list[Mistake]:
    first: dict[tuple[str, str], int] = {}
    mistakes = []
    for row in rows:
        key = row.external_id, row.number
        if key in first:
            mistakes.append(
                Mistake(row.row, "phone", f"{row.external_id} with this number is in row {first[key]:,} already.")
            )
        first.setdefault(key, row.row)
    return mistakes


def _delimiter(line: str) -> str:
    """What is copied from a spreadsheet has tabs; where the comma is for decimals, a CSV has semicolons."""
    return next((mark for mark in ("\t", ";") if mark in line and "," not in line), ",")
