"""Phone numbers in CSV files: an unlisted but possible number gets a warning, letters are an error."""

from portal.core.rules.csv_input import CsvRow
from portal.core.rules.phone import PhoneError, UnlistedNumber, VanityNumber, to_e164
from portal.core.translation import gettext as _


def parse_phone_cell(cells: CsvRow, column: str, text: str, region: str) -> str:
    """The number in E.164; empty if the cell has an error."""
    try:
        return to_e164(text, region)
    except UnlistedNumber as error:
        cells.add_warning(column, _("%(problem)s It is imported as it is.", problem=error))
        return error.number
    except VanityNumber as error:
        cells.add_error(column, _("%(problem)s Then write it in digits.", problem=error))
    except PhoneError as error:
        cells.add_error(column, str(error))
    return ""
