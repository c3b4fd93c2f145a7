"""Tables that go out as text: a CSV (RFC 4180) that every spreadsheet opens, and in which it finds no formula."""

import csv
import io
import re
from collections.abc import Sequence

BYTE_ORDER_MARK = "\ufeff"
"""Without it a spreadsheet takes a CSV for an older encoding."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_CELL_START, _FORMULA_START = r"(^|\r\n|[,;|\t\n]|\r(?!\n))", r"[ \n'\"]*[=+\-@\t\r＝＋－＠]"
"""Where a formula may begin: with the cell, and after whatever parts cells in some country."""
_UNESCAPED_FORMULA = re.compile(f"{_CELL_START}(?={_FORMULA_START})")
_ESCAPED_FORMULA = re.compile(f"{_CELL_START}'(?={_FORMULA_START})")


def format_row(cells: Sequence[object]) -> str:
    """A line of the file, every cell in quotes: then a mark that parts cells elsewhere parts none of these."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow([escape_formulas(cell) for cell in cells])
    return out.getvalue()


def escape_formulas(value: object) -> str:
    """A cell that no spreadsheet takes for a formula, for its apostrophes. A phone number stays: it has digits only."""
    text = "" if value is None else str(value)
    return text if _E164.match(text) else _UNESCAPED_FORMULA.sub(r"\1'", text)


def unescape_formulas(cell: str) -> str:
    """A cell of such a file as it was before: our exports are read again as they were."""
    return _ESCAPED_FORMULA.sub(r"\1", cell)
