"""How much a rendering may do: loops are limited by turns, but a turn may hold any number of filters."""

from contextvars import ContextVar
from typing import Any

from liquid.exceptions import ResourceLimitError

_MOST_STEPS = 20_000
_MOST_IN_A_FILTER = 50_000
_MOST_IN_AN_ARGUMENT = 1_000
_PER_STEP = 50
_steps_left: ContextVar[int] = ContextVar("steps_left", default=0)


class TooMuch(ResourceLimitError):
    """A filter made, or would make, more than any notification needs."""


def begin() -> None:
    _steps_left.set(_MOST_STEPS)


def count(steps: int) -> None:
    left = _steps_left.get() - steps
    if left < 0:
        raise TooMuch("work limit reached", token=None)
    _steps_left.set(left)


def before_filter(value: Any, arguments: tuple[Any, ...]) -> None:
    """Refuses large operands, since what a filter makes inside an expression counts against no limit of Liquid's."""
    if _size(value) > _MOST_IN_A_FILTER or any(_size(argument) > _MOST_IN_AN_ARGUMENT for argument in arguments):
        raise TooMuch("filter limit reached", token=None)
    count(1 + _size(value) // _PER_STEP)


def after_filter(made: Any) -> None:
    if _size(made) > _MOST_IN_A_FILTER:
        raise TooMuch("filter limit reached", token=None)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | range) else 0
