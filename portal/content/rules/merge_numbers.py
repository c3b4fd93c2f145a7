"""Arithmetic filters: decimal, rounding half away from zero, and strict about what a number is."""

import operator
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from functools import partial
from typing import Any

from liquid.exceptions import ResourceLimitError

from portal.content.rules.field_values import FieldValue, FilterError
from portal.core.rules import text_input
from portal.core.translation import N_
from portal.core.translation import gettext as _

NUMBER_FORMATS = N_("1250, 1250.5 or 1,250.00")
_NOT_A_NUMBER = N_("%(value)s is not a number. Write it as %(formats)s.")
_MAX_RESULT = Decimal(10) ** 30
_QUANTUM = Decimal(1).scaleb(-10)
_NUMBER = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{1,10})?|\.\d{1,10})", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3}){1,6}\.\d{1,10}|(?:,\d{3}){2,6})", re.ASCII)
"""“1,250” is rejected: the comma may separate thousands or decimals."""


class PlainDecimal(Decimal):
    """Prints without an exponent."""

    def __str__(self) -> str:
        return format(Decimal(self), "f")


class _SampleNumber(PlainDecimal):
    """The number one, printed as the sample it replaces."""

    text: str

    def __str__(self) -> str:
        return self.text


def _round(value: Any, digits: Any = 0) -> Any:
    """Half away from zero. `digits` decimal places are always printed: 12.5 to two places is 12.50."""
    places = parse_number(digits)
    if places is None or isinstance(places, _SampleNumber):
        places = Decimal(0)
    if places != _floor(places) or not 0 <= places <= 10:
        raise FilterError(digits, N_("%(value)s is not a number of decimal places. Use a whole number from 0 to 10."))
    quantum = Decimal(1).scaleb(-int(places))
    rounded = _calculate(lambda a: a.quantize(quantum, ROUND_HALF_UP), value)
    if not places or rounded == "" or isinstance(rounded, _SampleNumber):
        return rounded
    return PlainDecimal(Decimal(rounded).quantize(quantum))


def to_integer(value: Any) -> int:
    """Blank is 0. Raises `FilterError` if the value is not a whole number."""
    number = parse_number(value)
    if number is not None and number != _floor(number):
        raise FilterError(value, N_("%(value)s is not a whole number."))
    return int(number or 0)


def _calculate(rule: Callable[..., Decimal], value: Any, *others: Any) -> Any:
    """Blank stays blank, so that `default` works after it; a whole result is an `int`."""
    first = parse_number(value)
    if first is None:
        return ""
    operands = [first, *map(_parse_operand, others)]
    with localcontext(Context(prec=80)):
        result = rule(*operands)
        if abs(result) > _MAX_RESULT:
            raise ResourceLimitError("number limit reached", token=None)
        result = result.quantize(_QUANTUM, ROUND_HALF_UP).normalize()
    sample = next((operand for operand in operands if isinstance(operand, _SampleNumber)), None)
    if sample is not None:
        return _make_sample(result, sample.text)
    return int(result) if result == result.to_integral_value() else PlainDecimal(result)


def _parse_operand(value: Any) -> Decimal:
    number = parse_number(value)
    if number is None:
        raise FilterError(value, _NOT_A_NUMBER, formats=_(NUMBER_FORMATS))
    return number


def parse_number(value: Any) -> Decimal | None:
    """None for blank. Raises `FilterError`."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = format(Decimal(str(value)), "f")
    else:
        text = "" if value is None else text_input.clean_code(str(value))
    if not text:
        return None
    if isinstance(value, FieldValue) and value.is_sample:
        return _make_sample(Decimal(1), value)
    if _NUMBER.fullmatch(text) or _GROUPED.fullmatch(text):
        return Decimal(text.replace(",", ""))
    raise FilterError(value, _NOT_A_NUMBER, formats=_(NUMBER_FORMATS))


def _make_sample(value: Decimal, text: str) -> _SampleNumber:
    number = _SampleNumber(value)
    number.text = str(text)
    return number


def _divide(value: Decimal, other: Decimal) -> Decimal:
    """Two whole numbers give a whole number, rounded down, as in Liquid."""
    are_whole = value.as_tuple().exponent == other.as_tuple().exponent == 0
    return _floor(value / other) if are_whole else value / other


def _nonzero(value: Any) -> Any:
    if parse_number(value) == 0:
        raise FilterError(value, N_("%(value)s is zero, and nothing can be divided by zero."))
    return value


def _modulo(value: Decimal, other: Decimal) -> Decimal:
    return value - other * _floor(value / other)


def _floor(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_FLOOR)


def _ceil(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_CEILING)


ARITHMETIC_FILTERS: dict[str, Callable[..., Any]] = {
    "plus": partial(_calculate, operator.add),
    "minus": partial(_calculate, operator.sub),
    "times": partial(_calculate, operator.mul),
    "divided_by": lambda value, other: _calculate(_divide, value, _nonzero(other)),
    "modulo": lambda value, other: _calculate(_modulo, value, _nonzero(other)),
    "at_least": lambda value, other: _calculate(max, value, other),
    "at_most": lambda value, other: _calculate(min, value, other),
    "abs": partial(_calculate, abs),
    "ceil": partial(_calculate, _ceil),
    "floor": partial(_calculate, _floor),
    "round": _round,
}
