"""How a template compares: numbers as numbers, complete dates as dates, words to the letter.

Liquid compares what was given with a send as text: 10 would be less than 9, and never be equal to 10.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.content.rules import merge_dates, merge_numbers
from portal.content.rules.field_values import FieldValue, FilterError

COMPARISON_HELP: dict[str, str] = {
    "==  !=": "with a number (== 5) a value is compared as a number, so that 5.00 is 5; with words in quotes "
    '(== "Gold") to the letter. There is no true and no false: use words, such as == "yes"',
    "<  >  <=  >=": f"compare numbers, such as {merge_numbers.NUMBER_FORMATS}, or complete dates, such as {merge_dates.DATE_FORMATS}. "
    "Anything else stops the send; a blank value is neither less nor more",
}
"""What stands between two values → how they are compared, for whoever writes a template."""


def is_text_and_number(left: Any, right: Any) -> bool:
    return (isinstance(left, str) and _is_number(right)) or (_is_number(left) and isinstance(right, str))


def equals_number(text: str, number: Any) -> bool:
    """Words are no number; digits that cannot be read as one are a mistake. Raises `Unreadable`."""
    if _is_sample(text):
        return False
    try:
        return merge_numbers.parse_number(text) == merge_numbers.parse_number(number)
    except FilterError:
        if any(map(str.isdecimal, text)) and not any(map(str.isalpha, text)):
            raise
        return False


def reject_booleans(left: Any, right: Any) -> None:
    """A value that was given is never true or false, so that such a question has one answer for everybody."""
    for value, other in ((left, right), (right, left)):
        if isinstance(value, FieldValue) and isinstance(other, bool):
            words = 'is text, which is never true or false. Compare it with words in quotes, such as == "yes".'
            raise FilterError(_name_for_error(value), words)


def compare_values(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None where one of them is blank or a sample. Raises `Unreadable`."""
    if is_blank(left) or is_blank(right):
        return None
    sides = [_comparable_value(side) for side in (left, right) if not _is_sample(side)]
    if len(sides) < 2:
        return None
    if _value_kind(sides[0]) != _value_kind(sides[1]):
        value, other = (left, right) if isinstance(left, FieldValue) else (right, left)
        raise FilterError(value, f"cannot be compared with “{other}”: give two numbers, or two dates alike.")
    return int(sides[0] > sides[1]) - int(sides[0] < sides[1])


def _comparable_value(value: Any) -> Any:
    """A number or a moment. The sample of an account's field is neither: such a field is words, whoever it is."""
    readers = (
        ()
        if isinstance(value, FieldValue) and value.is_sample
        else (merge_numbers.parse_number, merge_dates.parse_date)
    )
    for read in readers:
        try:
            found = read(value)
            return found.value if isinstance(found, merge_dates.ParsedDate) else found
        except FilterError:
            continue
    forms = f"Write it as {merge_numbers.NUMBER_FORMATS}, or as {merge_dates.DATE_FORMATS}."
    raise FilterError(
        _name_for_error(value), f"is neither a number nor a complete date, which < and > compare. {forms}"
    )


def _value_kind(measure: Decimal | datetime) -> tuple[bool, bool]:
    """A time with a zone and one without have no order."""
    return isinstance(measure, datetime), isinstance(measure, datetime) and measure.tzinfo is not None


def _is_sample(value: Any) -> bool:
    """Of the values of a send only."""
    return isinstance(value, FieldValue) and value.is_sample and value.field_name.startswith("data.")


def _name_for_error(value: Any) -> Any:
    return value.field_name if isinstance(value, FieldValue) and value.is_sample else value


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
