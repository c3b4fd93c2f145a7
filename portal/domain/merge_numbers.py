"""The filters that reckon: in decimal numbers, rounding half away from zero, and only with what is plainly a number."""

import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any

from portal.domain import text_input
from portal.domain.given import Given, Unreadable

FORMS = "1250, 1250.5 or 1,250.00"
_MOST = Decimal(10) ** 30
_PLACES = Decimal(1).scaleb(-10)
_NUMBER = re.compile(r"[+-]?(?:\d{1,20}(?:\.\d{1,10})?|\.\d{1,10})", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3}){1,6}\.\d{1,10}|(?:,\d{3}){2,6})", re.ASCII)
"""One comma and three digits, without a point, may be thousands or thousandths: “1,250” is not read."""


class Number(Decimal):
    """Never written with an exponent."""

    def __str__(self) -> str:
        return format(Decimal(self), "f")


class TooLarge(ArithmeticError):
    """A result that no notification needs."""


class _StandIn(Number):
    """One, that shows the words of the sample it stands for."""

    words: str

    def __str__(self) -> str:
        return self.words


def plus(value: Any, other: Any) -> Any:
    return _reckon(lambda a, b: a + b, value, other)


def minus(value: Any, other: Any) -> Any:
    return _reckon(lambda a, b: a - b, value, other)


def times(value: Any, other: Any) -> Any:
    return _reckon(lambda a, b: a * b, value, other)


def divided_by(value: Any, other: Any) -> Any:
    """Of two whole numbers the whole part, rounded down, as everywhere in Liquid; else ten places at most."""
    return _reckon(_divide, value, _divisor(other))


def modulo(value: Any, other: Any) -> Any:
    return _reckon(lambda a, b: a - b * _floor(a / b), value, _divisor(other))


def at_least(value: Any, other: Any) -> Any:
    return _reckon(max, value, other)


def at_most(value: Any, other: Any) -> Any:
    return _reckon(min, value, other)


def abs_(value: Any) -> Any:
    return _reckon(abs, value)


def ceil(value: Any) -> Any:
    return _reckon(lambda a: a.to_integral_value(ROUND_CEILING), value)


def floor(value: Any) -> Any:
    return _reckon(_floor, value)


def round_(value: Any, digits: Any = 0) -> Any:
    """Half away from zero. With `digits` that many places always show, so that 12.5 to two is 12.50."""
    places = read(digits)
    if places is None or isinstance(places, _StandIn):
        places = Decimal(0)
    if places != _floor(places) or not 0 <= places <= 10:
        raise Unreadable(digits, "is no number of places to round to. Write a whole number from 0 to 10.")
    made = _reckon(lambda a: a.quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP), value)
    if not places or made == "" or isinstance(made, _StandIn):
        return made
    return Number(Decimal(made).quantize(Decimal(1).scaleb(-int(places))))


def whole(value: Any) -> int:
    """How many, such as the end of a range. Blank is 0. Raises `Unreadable` for what is no whole number."""
    found = read(value)
    if found is not None and found != _floor(found):
        raise Unreadable(value, "is not a whole number.")
    return int(found or 0)


def _reckon(rule: Callable[..., Decimal], value: Any, *others: Any) -> Any:
    """Blank stays blank, so that `default` can follow; a whole result is an `int`."""
    first = read(value)
    if first is None:
        return ""
    operands = [first, *map(_needed, others)]
    with localcontext(Context(prec=80)):
        made = rule(*operands)
        if abs(made) > _MOST:
            raise TooLarge
        made = made.quantize(_PLACES, ROUND_HALF_UP).normalize()
    sample = next((operand for operand in operands if isinstance(operand, _StandIn)), None)
    if sample is not None:
        return _stand_in(made, sample.words)
    return int(made) if made == made.to_integral_value() else Number(made)


def _needed(value: Any) -> Decimal:
    found = read(value)
    if found is None:
        raise Unreadable(value, f"is not a number. Write it as {FORMS}.")
    return found


def read(value: Any) -> Decimal | None:
    """None for blank. Raises `Unreadable`."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = format(Decimal(str(value)), "f")
    else:
        text = "" if value is None else text_input.code(str(value))
    if not text:
        return None
    if isinstance(value, Given) and value.stands_in:
        return _stand_in(Decimal(1), value)
    if _NUMBER.fullmatch(text) or _GROUPED.fullmatch(text):
        return Decimal(text.replace(",", ""))
    raise Unreadable(value, f"is not a number. Write it as {FORMS}.")


def _stand_in(value: Decimal, words: str) -> _StandIn:
    made = _StandIn(value)
    made.words = str(words)
    return made


def _divide(value: Decimal, other: Decimal) -> Decimal:
    are_whole = value.as_tuple().exponent == other.as_tuple().exponent == 0
    return _floor(value / other) if are_whole else value / other


def _divisor(value: Any) -> Any:
    if read(value) == 0:
        raise Unreadable(value, "cannot divide anything. Give another number.")
    return value


def _floor(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_FLOOR)
