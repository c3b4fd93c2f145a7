"""CSV exports: no spreadsheet runs a cell as a formula, and an import restores every cell."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.core.rules.csv_input import read_table
from portal.core.rules.csv_output import escape_formulas, format_row, unescape_formulas

DELIMITERS = ",;|\t"
CELLS = st.text(st.sampled_from("=+-@＝＋－＠\t\r\n ;,|'\"ab1"), max_size=12)


@pytest.mark.parametrize("cell", ["=1+1", "+1-1", "-1", "@SUM(A1)", "\tx", " =1", "＝1", "+1202555 0101"])
def test_formula_gets_an_apostrophe(cell: str) -> None:
    assert escape_formulas(cell) == f"'{cell}"


@pytest.mark.parametrize(("cell", "text"), [("+12025550101", "+12025550101"), ("a=b", "a=b"), (None, ""), (7, "7")])
def test_other_cells_are_unchanged(cell: object, text: str) -> None:
    assert escape_formulas(cell) == text


@pytest.mark.parametrize(
    ("cell", "escaped"),
    [
        ("Jordan;=1+1", "Jordan;'=1+1"),
        ("Jordan,=1+1", "Jordan,'=1+1"),
        ("Jordan\t@SUM(A1)", "Jordan\t'@SUM(A1)"),
        ("Jordan; +1", "Jordan;' +1"),
        ("Jordan\r\n-1", "Jordan\r\n'-1"),
        ("\r=1", "'\r'=1"),
        ("a;b|＝1", "a;b|'＝1"),
        ('Jordan;"=1+1', "Jordan;'\"=1+1"),
    ],
)
def test_formula_after_any_delimiter_gets_an_apostrophe(cell: str, escaped: str) -> None:
    assert escape_formulas(cell) == escaped


@given(st.lists(CELLS, min_size=1, max_size=4))
@example(["Jordan;=1+1", '";=1'])
@example(["", ';"='])
def test_no_delimiter_splits_a_row_into_formulas(cells: list[str]) -> None:
    for delimiter in DELIMITERS:
        for row in csv.reader(io.StringIO(format_row(cells), newline=""), delimiter=delimiter):
            for cell in row:
                assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), (delimiter, row)


@given(CELLS)
def test_unescaping_reverses_escaping(cell: str) -> None:
    assert unescape_formulas(escape_formulas(cell)) == cell


@pytest.mark.parametrize("cell", ["+12025550101", "=1+1", "Jordan;=1+1", "Zoë, “Jo”", 'a"b', "'=x", "line\nline", "-"])
def test_exported_cell_is_imported_unchanged(cell: str) -> None:
    text = format_row(["name", "phone"]) + format_row([cell, "+12025550101"])
    result = read_table(text, ("name", "phone"), ("name",), lambda row: (row["name"], row["phone"]))
    assert (result.rows, result.errors) == ([(cell, "+12025550101")], [])


def test_row_is_quoted_and_ends_with_crlf() -> None:
    assert format_row(["a", None, 7, 'b"c']) == '"a","","7","b""c"\r\n'
