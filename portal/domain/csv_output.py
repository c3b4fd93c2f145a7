"""Tables that go out as text: a CSV (RFC 4180) that every spreadsheet opens, and in which it finds no formula."""

import csv
import io
import re
from collections.abc import Sequence

BYTE_ORDER_MARK = "\ufeff"
"""Without it a spreadsheet takes a CSV for an older encoding."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_BEFORE, _FORMULA = r"(^|\r\n|[,;|\t\n]|\r(?!\n))", r"[ \n'\"]*[=+\-@\t\r＝＋－＠]"
"""Where a formula may begin: with the cell, and after whatever parts cells in some country."""
_TO_GUARD = re.compile(f"{_BEFORE}(?={_FORMULA})")
_GUARDED = re.compile(f"{_BEFORE}'(?={_FORMULA})")


def line(cells: Sequence[object]) -> str:
    """A line of the file, every cell in quotes: then a mark that parts cells elsewhere parts none of these."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow([safe_cell(cell) for cell in cells])
    return out.getvalue()


def safe_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula, for its apostrophes. A phone number stays: it has digits only."""
    text = "" if value is None else str(value)
    return text if _E164.match(text) else _TO_GUARD.sub(r"\1'", text)


def unguarded(cell: str) -> str:
    """A cell of such a file as it was before: our exports are read again as they were."""
    return _GUARDED.sub(r"\1", cell)
