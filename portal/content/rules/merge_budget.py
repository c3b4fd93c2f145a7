"""How much a rendering may do: loops are limited by turns, but a turn may hold any number of filters."""

from contextvars import ContextVar
from typing import Any

from liquid.exceptions import ResourceLimitError

_MAX_STEPS = 20_000
_MAX_FILTER_SIZE = 50_000
_MAX_ARGUMENT_SIZE = 1_000
_ITEMS_PER_STEP = 50
_steps_left: ContextVar[int] = ContextVar("steps_left", default=0)


class BudgetExceeded(ResourceLimitError):
    """A filter made, or would make, more than any notification needs."""


def reset_budget() -> None:
    _steps_left.set(_MAX_STEPS)


def spend_steps(steps: int) -> None:
    left = _steps_left.get() - steps
    if left < 0:
        raise BudgetExceeded("work limit reached", token=None)
    _steps_left.set(left)


def check_filter_input(value: Any, arguments: tuple[Any, ...]) -> None:
    """Refuses large operands, since what a filter makes inside an expression counts against no limit of Liquid's."""
    if _size(value) > _MAX_FILTER_SIZE or any(_size(argument) > _MAX_ARGUMENT_SIZE for argument in arguments):
        raise BudgetExceeded("filter limit reached", token=None)
    spend_steps(1 + _size(value) // _ITEMS_PER_STEP)


def check_filter_output(made: Any) -> None:
    if _size(made) > _MAX_FILTER_SIZE:
        raise BudgetExceeded("filter limit reached", token=None)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | range) else 0
