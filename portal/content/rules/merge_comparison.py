"""Comparisons in templates: numbers as numbers, complete dates as dates, other text literally.

Liquid compares the values of a send as text, so that "10" is less than "9" and never equals 10.
"""

from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from liquid.builtin.expressions.logical import _eq

from portal.content.rules import merge_dates, merge_numbers
from portal.content.rules.field_values import FieldValue, FilterError
from portal.core.translation import N_
from portal.core.translation import gettext as _

COMPARISON_HELP: dict[str, str] = {
    "==  !=": N_(
        "compare a value with a number (== 5) as a number, so that 5.00 equals 5, and with words in quotes "
        '(== "Gold") exactly. There is no true or false: use words, such as == "yes"'
    ),
    "<  >  <=  >=": N_(
        "compare numbers, such as 1250, 1250.5 or 1,250.00, or complete dates, such as 2027-05-28, May 28, 2027 or "
        "28 May 2027. Any other value stops the send; a blank value is neither less nor more"
    ),
}
"""Operators to the help text that the template editor shows."""


def equals(left: Any, right: Any) -> bool:
    """Raises `FilterError` for a merge value that cannot be compared like this."""
    _reject_booleans(left, right)
    for text, number in ((left, right), (right, left)):
        if isinstance(text, str) and isinstance(number, int | float | Decimal) and not isinstance(number, bool):
            return _equals_number(text, number)
    if left is None or right is None:
        return is_blank(left) and is_blank(right)
    return bool(_eq(left, right))


def _equals_number(text: str, number: Any) -> bool:
    """Text never equals a number. Raises `FilterError` for digits that are not a valid number."""
    if _is_sample(text):
        return False
    try:
        return merge_numbers.parse_number(text) == merge_numbers.parse_number(number)
    except FilterError:
        if any(map(str.isdecimal, text)) and not any(map(str.isalpha, text)):
            raise
        return False


def _reject_booleans(left: Any, right: Any) -> None:
    """A merge value is always text."""
    for value, other in ((left, right), (right, left)):
        if isinstance(value, FieldValue) and isinstance(other, bool):
            message = N_(
                '%(value)s is text, which is never true or false. Compare it with quoted text, such as == "yes".'
            )
            raise FilterError(_name_for_error(value), message)


def compare_values(left: Any, right: Any) -> int | None:
    """-1, 0 or 1; None if either is blank or a sample. Raises `FilterError` if they have no order."""
    if is_blank(left) or is_blank(right):
        return None
    sides = [_comparable_value(side) for side in (left, right) if not _is_sample(side)]
    if len(sides) < 2:
        return None
    if _value_kind(sides[0]) != _value_kind(sides[1]):
        value, other = (left, right) if isinstance(left, FieldValue) else (right, left)
        message = N_("%(value)s cannot be compared with “%(other)s”: compare two numbers, or two dates in one form.")
        raise FilterError(value, message, other=str(other))
    return int(sides[0] > sides[1]) - int(sides[0] < sides[1])


def _comparable_value(value: Any) -> Any:
    """A number or a date and time. A sample of an account field is neither: account fields are text."""
    if not (isinstance(value, FieldValue) and value.is_sample):
        with suppress(FilterError):
            return merge_numbers.parse_number(value)
        with suppress(FilterError):
            return merge_dates.parse_date(value)[0]
    message = N_(
        "%(value)s is not a number or a complete date, so < and > cannot compare it. "
        "Write it as %(numbers)s, or as %(dates)s."
    )
    formats = {"numbers": _(merge_numbers.NUMBER_FORMATS), "dates": _(merge_dates.DATE_FORMATS)}
    raise FilterError(_name_for_error(value), message, **formats)


def _value_kind(value: Decimal | datetime) -> tuple[bool, bool]:
    """Values of different kinds have no order; nor have times with and without a time zone."""
    return isinstance(value, datetime), isinstance(value, datetime) and value.tzinfo is not None


def _is_sample(value: Any) -> bool:
    """Whether the value is a sample of a `data.…` field."""
    return isinstance(value, FieldValue) and value.is_sample and value.field_name.startswith("data.")


def _name_for_error(value: Any) -> Any:
    return value.field_name if isinstance(value, FieldValue) and value.is_sample else value


def is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
