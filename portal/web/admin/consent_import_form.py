"""The form of an import: pasted rows or a file."""

from flask_wtf.file import FileField
from wtforms import HiddenField, TextAreaField

from portal.core.rules import csv_input, text_input
from portal.core.rules.spreadsheets.workbook_input import is_workbook
from portal.core.translation import lazy_gettext
from portal.web.base_form import PortalForm


def _clean_rows(text: str) -> str:
    return text_input.clean_csv(text.replace("\r\n", "\n"))


class ConsentImportForm(PortalForm):
    """`confirmed` is the digest of the text whose preview the person confirms, `upload` the workbook it comes from."""

    warnings: tuple[str, ...] = ()
    text = TextAreaField(lazy_gettext("Paste the rows here"), filters=[_clean_rows])
    file = FileField(lazy_gettext("Or choose a file"))
    confirmed = HiddenField()
    upload = HiddenField()

    def read_file(self) -> bytes | None:
        """The chosen file if it is a workbook; any other takes the place of `text`. Raises `CsvError`."""
        raw = self.file.data.read() if self.file.data else b""
        if is_workbook(raw):
            return raw
        if self.file.data:
            decoded = csv_input.decode_csv(raw)
            self.text.data, self.warnings = decoded.text, decoded.warnings
        return None
