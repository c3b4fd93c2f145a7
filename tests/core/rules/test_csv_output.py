"""What goes out as a CSV: every cell is inert in every country's spreadsheets, and reads back as it was."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal.core.rules.csv_input import read_table
from portal.core.rules.csv_output import escape_formulas, format_row, unescape_formulas

MARKS = ",;|\t"
CELLS = st.text(st.sampled_from("=+-@＝＋－＠\t\r\n ;,|'\"ab1"), max_size=12)


@pytest.mark.parametrize("cell", ["=1+1", "+1-1", "-1", "@SUM(A1)", "\tx", " =1", "＝1", "+1202555 0101"])
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(cell: str) -> None:
    assert escape_formulas(cell) == f"'{cell}"


@pytest.mark.parametrize(("cell", "kept"), [("+12025550101", "+12025550101"), ("a=b", "a=b"), (None, ""), (7, "7")])
def test_other_cells_stay_as_they_are(cell: object, kept: str) -> None:
    assert escape_formulas(cell) == kept


@pytest.mark.parametrize(
    ("cell", "safe"),
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
def test_a_formula_behind_what_parts_cells_elsewhere_gets_an_apostrophe_too(cell: str, safe: str) -> None:
    assert escape_formulas(cell) == safe


@given(st.lists(CELLS, min_size=1, max_size=4))
@example(["Jordan;=1+1", '";=1'])
@example(["", ';"='])
def test_no_cell_begins_a_formula_whatever_mark_a_spreadsheet_takes_for_the_one_that_parts_them(
    cells: list[str],
) -> None:
    for mark in MARKS:
        for found in csv.reader(io.StringIO(format_row(cells), newline=""), delimiter=mark):
            for cell in found:
                assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), (mark, found)


@given(CELLS)
def test_a_guarded_cell_is_read_again_as_it_was(cell: str) -> None:
    assert unescape_formulas(escape_formulas(cell)) == cell


@pytest.mark.parametrize("cell", ["+12025550101", "=1+1", "Jordan;=1+1", "Zoë, “Jo”", 'a"b', "'=x", "line\nline", "-"])
def test_what_was_exported_is_imported_as_it_was(cell: str) -> None:
    text = format_row(["name", "phone"]) + format_row([cell, "+12025550101"])
    found = read_table(text, ("name", "phone"), ("name",), lambda cells: (cells["name"], cells["phone"]))
    assert (found.rows, found.errors) == ([(cell, "+12025550101")], [])


def test_a_line_is_in_quotes_and_ends_as_rfc_4180_says() -> None:
    assert format_row(["a", None, 7, 'b"c']) == '"a","","7","b""c"\r\n'
