"""A phone number in a file: a possible one in no table is let through with a warning, letters are never guessed."""

from portal.domain.csv_input import Cells
from portal.domain.phone import PhoneError, SpelledNumber, UnknownNumber, to_e164


def phone_of(cells: Cells, column: str, text: str, region: str) -> str:
    """The number in E.164; empty where there is a mistake."""
    try:
        return to_e164(text, region)
    except UnknownNumber as unknown:
        cells.warn(column, f"{unknown} It is imported as it is.")
        return unknown.number
    except SpelledNumber as spelled:
        cells.refuse(column, f"{spelled} Then write it in digits.")
    except PhoneError as error:
        cells.refuse(column, str(error))
    return ""
