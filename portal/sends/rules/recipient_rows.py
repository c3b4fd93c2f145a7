"""Match the columns of a recipient file with the fields of a template, and read its rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portal.core.rules import csv_input, text_input
from portal.core.rules.csv_input import CsvError, RowError
from portal.core.rules.spreadsheets.spreadsheet_rows import column_letter
from portal.core.translation import gettext as _
from portal.core.translation import join_words

ACCOUNT_COLUMN = "external_id"
_ACCOUNT_HEADINGS = (ACCOUNT_COLUMN, "account_number", "account_no")
_MAX_VALUE_LENGTH = 2_000
_SPREADSHEET_ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class FileColumns:
    """`names` has the field of each column, `ACCOUNT_COLUMN`, or "" for a column that is not used."""

    names: tuple[str, ...]
    headings: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name and name != ACCOUNT_COLUMN)

    @property
    def unused(self) -> tuple[str, ...]:
        return tuple(heading for name, heading in zip(self.names, self.headings, strict=True) if heading and not name)

    def label(self, name: str) -> str:
        """How a spreadsheet shows the column: its letter and its heading. Other names are labels already."""
        if name not in self.names:
            return name
        index = self.names.index(name)
        return f"{column_letter(index)}, {self.headings[index]}"


@dataclass(frozen=True)
class RecipientCells:
    """A row of the file: `data` has the values that are not blank. Errors name the column by its label."""

    row_number: int
    external_id: str
    data: Mapping[str, str]
    errors: tuple[RowError, ...]


def likely_headings(fields: Sequence[str]) -> list[str]:
    """What the header may contain, to tell by what its cells are separated."""
    return [*_ACCOUNT_HEADINGS, "account number", *fields, *(f"data.{field}" for field in fields)]


def match_columns(row: int, header: Sequence[str], fields: Sequence[str], missing: Sequence[str]) -> FileColumns:
    """`missing` are the fields that need a value and have none for everyone. Raises `CsvError`."""
    headings = tuple(text_input.clean_line(cell)[:200] for cell in header)
    names = tuple(_field_name(heading, fields) for heading in headings)
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    absent = [field for field in missing if field not in names]
    if ACCOUNT_COLUMN not in names:
        listed = ", ".join(filter(None, headings[:8]))
        message = _(
            "Row %(row)s needs a heading “external_id” above the account numbers. Its headings are: %(headings)s.",
            row=row,
            headings=listed,
        )
        raise CsvError(message)
    if repeated:
        raise CsvError(_("Row %(row)s has two columns for %(names)s. Delete one.", row=row, names=join_words(repeated)))
    if absent:
        message = _(
            "The template needs a value for %(names)s. Add a column with that heading to row %(row)s, or enter one "
            "value for everyone.",
            row=row,
            names=join_words(absent),
        )
        raise CsvError(message)
    return FileColumns(names, headings)


def _field_name(heading: str, fields: Sequence[str]) -> str:
    """The field that a heading means, whatever its case, spaces and prefix: “Data.Exam date” is exam_date."""
    name = _SEPARATORS.sub("_", heading.casefold()).strip("_")
    spellings = (name, name.removeprefix("data_"))
    field = next((spelling for spelling in spellings if spelling in fields), "")
    return field or (ACCOUNT_COLUMN if name in _ACCOUNT_HEADINGS else "")


def read_row(row: int, cells: Sequence[str], columns: FileColumns, missing: Sequence[str]) -> RecipientCells:
    """`missing` as in `match_columns`."""
    names = [name or heading for name, heading in zip(columns.names, columns.headings, strict=True)]
    read = csv_input.make_row(row, cells, names)
    external_id = text_input.clean_code(read[ACCOUNT_COLUMN])
    if not external_id:
        read.add_error(ACCOUNT_COLUMN, _("This cell is empty."))
    values = {name: text_input.clean_lines(read[name]).strip() for name in columns.fields}
    for name, value in values.items():
        read.add_error(name, _value_problem(value, is_required=name in missing))
    errors = tuple(RowError(row, columns.label(error.column), error.message) for error in read.errors)
    return RecipientCells(row, external_id, {name: value for name, value in values.items() if value}, errors)


def _value_problem(value: str, is_required: bool) -> str | None:
    if not value and is_required:
        return _("This cell is empty, and the template needs a value.")
    if len(value) > _MAX_VALUE_LENGTH:
        count = len(value)
        return _("Use at most %(limit)s characters; this has %(count)s.", limit=_MAX_VALUE_LENGTH, count=count)
    if value in _SPREADSHEET_ERRORS:
        return _("The spreadsheet shows an error here: %(value)s. Correct its formula.", value=value)
    return None
