"""A phone number in a file: a possible one in no table is let through with a warning, letters are never guessed."""

from portal.core.rules.csv_input import CsvRow
from portal.core.rules.phone import PhoneError, UnlistedNumber, VanityNumber, to_e164


def parse_phone_cell(cells: CsvRow, column: str, text: str, region: str) -> str:
    """The number in E.164; empty where there is a mistake."""
    try:
        return to_e164(text, region)
    except UnlistedNumber as unknown:
        cells.add_warning(column, f"{unknown} It is imported as it is.")
        return unknown.number
    except VanityNumber as spelled:
        cells.add_error(column, f"{spelled} Then write it in digits.")
    except PhoneError as error:
        cells.add_error(column, str(error))
    return ""
