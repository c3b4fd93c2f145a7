"""The form of an import: pasted rows or a file."""

from flask_wtf.file import FileField
from wtforms import HiddenField, TextAreaField

from portal.core.rules import text_input
from portal.core.rules.spreadsheets.spreadsheet_rows import decode_spreadsheet
from portal.core.rules.spreadsheets.workbook_input import IN_REQUEST
from portal.core.translation import lazy_gettext
from portal.web.base_form import PortalForm


def _clean_rows(text: str) -> str:
    return text_input.clean_csv(text.replace("\r\n", "\n"))


class ConsentImportForm(PortalForm):
    """`confirmed` is the digest of the text whose preview the person confirms."""

    text = TextAreaField(lazy_gettext("Paste the rows here"), filters=[_clean_rows])
    file = FileField(lazy_gettext("Or choose a file"))
    confirmed = HiddenField()

    def read_file(self) -> tuple[str, ...]:
        """Replace `text` with the chosen file, if there is one, and return warnings about it. Raises `CsvError`."""
        if not self.file.data:
            return ()
        decoded = decode_spreadsheet(self.file.data.read(), IN_REQUEST)
        self.text.data = decoded.text
        return decoded.warnings
