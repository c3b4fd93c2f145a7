"""How a template compares: numbers as numbers, complete dates as dates, words to the letter.

Liquid compares what was given with a send as text: 10 would be less than 9, and never be equal to 10.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.domain import merge_dates, merge_numbers
from portal.domain.given import Given, Unreadable

HELP: dict[str, str] = {
    "==  !=": "with a number (== 5) a value is compared as a number, so that 5.00 is 5; with words in quotes "
    '(== "Gold") to the letter. There is no true and no false: use words, such as == "yes"',
    "<  >  <=  >=": f"compare numbers, such as {merge_numbers.FORMS}, or complete dates, such as {merge_dates.FORMS}. "
    "Anything else stops the send; a blank value is neither less nor more",
}
"""What stands between two values → how they are compared, for whoever writes a template."""


def is_text_and_number(left: Any, right: Any) -> bool:
    return (isinstance(left, str) and _is_number(right)) or (_is_number(left) and isinstance(right, str))


def are_same_number(text: str, number: Any) -> bool:
    """Words are no number; digits that cannot be read as one are a mistake. Raises `Unreadable`."""
    if _stands_in(text):
        return False
    try:
        return merge_numbers.read(text) == merge_numbers.read(number)
    except Unreadable:
        if any(map(str.isdecimal, text)) and not any(map(str.isalpha, text)):
            raise
        return False


def refuse_truth(left: Any, right: Any) -> None:
    """A value that was given is never true or false, so that such a question has one answer for everybody."""
    for value, other in ((left, right), (right, left)):
        if isinstance(value, Given) and isinstance(other, bool):
            words = 'is text, which is never true or false. Compare it with words in quotes, such as == "yes".'
            raise Unreadable(_said(value), words)


def order(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None where one of them is blank or a sample. Raises `Unreadable`."""
    if is_blank(left) or is_blank(right):
        return None
    sides = [_measure(side) for side in (left, right) if not _stands_in(side)]
    if len(sides) < 2:
        return None
    if _kind(sides[0]) != _kind(sides[1]):
        value, other = (left, right) if isinstance(left, Given) else (right, left)
        raise Unreadable(value, f"cannot be compared with “{other}”: give two numbers, or two dates alike.")
    return int(sides[0] > sides[1]) - int(sides[0] < sides[1])


def _measure(value: Any) -> Any:
    """A number or a moment. The sample of an account's field is neither: such a field is words, whoever it is."""
    readers = () if isinstance(value, Given) and value.stands_in else (merge_numbers.read, merge_dates.read)
    for read in readers:
        try:
            found = read(value)
            return found.at if isinstance(found, merge_dates.Moment) else found
        except Unreadable:
            continue
    forms = f"Write it as {merge_numbers.FORMS}, or as {merge_dates.FORMS}."
    raise Unreadable(_said(value), f"is neither a number nor a complete date, which < and > compare. {forms}")


def _kind(measure: Decimal | datetime) -> tuple[bool, bool]:
    """A time with a zone and one without have no order."""
    return isinstance(measure, datetime), isinstance(measure, datetime) and measure.tzinfo is not None


def _stands_in(value: Any) -> bool:
    """Of the values of a send only."""
    return isinstance(value, Given) and value.stands_in and value.field.startswith("data.")


def _said(value: Any) -> Any:
    return value.field if isinstance(value, Given) and value.stands_in else value


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
