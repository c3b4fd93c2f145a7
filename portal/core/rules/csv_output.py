"""Write CSV (RFC 4180) that every spreadsheet opens without running any formula in it."""

import csv
import io
import re
from collections.abc import Sequence

BYTE_ORDER_MARK = "\ufeff"
"""Without it, a spreadsheet assumes an older encoding."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_CELL_START, _FORMULA_START = r"(^|\r\n|[,;|\t\n]|\r(?!\n))", r"[ \n'\"]*[=+\-@\t\r＝＋－＠]"
"""A formula may start at the beginning of a cell, and after any country's delimiter."""
_FORMULA_CHARACTER = re.compile("[=+\\-@\t\r＝＋－＠]")
_UNESCAPED_FORMULA = re.compile(f"{_CELL_START}(?={_FORMULA_START})")
_ESCAPED_FORMULA = re.compile(f"{_CELL_START}'(?={_FORMULA_START})")


def format_row(cells: Sequence[object]) -> str:
    """A line of the file. All cells are quoted, so that no other country's delimiter splits them."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow([escape_formulas(cell) for cell in cells])
    return out.getvalue()


def escape_formulas(value: object) -> str:
    """Put an apostrophe before anything a spreadsheet would run as a formula; E.164 numbers are safe as they are."""
    text = "" if value is None else str(value)
    # Most cells have none of the characters, which is found out in a fraction of the time.
    is_harmless = not _FORMULA_CHARACTER.search(text) or _E164.match(text)
    return text if is_harmless else _UNESCAPED_FORMULA.sub(r"\1'", text)


def unescape_formulas(cell: str) -> str:
    """The inverse of `escape_formulas`, so that an export can be imported unchanged."""
    return _ESCAPED_FORMULA.sub(r"\1", cell) if "'" in cell else cell
