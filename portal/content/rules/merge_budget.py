"""A work limit for one rendering: Liquid limits loop iterations, but not the filters inside one."""

from contextvars import ContextVar
from typing import Any

from liquid.exceptions import ResourceLimitError

_MAX_STEPS = 20_000
_MAX_FILTER_SIZE = 50_000
_MAX_ARGUMENT_SIZE = 1_000
_ITEMS_PER_STEP = 50
_steps_left: ContextVar[int] = ContextVar("steps_left", default=0)


def reset_budget() -> None:
    _steps_left.set(_MAX_STEPS)


def spend_steps(steps: int) -> None:
    remaining = _steps_left.get() - steps
    if remaining < 0:
        raise ResourceLimitError("work limit reached", token=None)
    _steps_left.set(remaining)


def check_filter_input(value: Any, arguments: tuple[Any, ...]) -> None:
    """Raises `ResourceLimitError` for large operands: Liquid does not limit results inside an expression."""
    if _size(value) > _MAX_FILTER_SIZE or any(_size(argument) > _MAX_ARGUMENT_SIZE for argument in arguments):
        raise ResourceLimitError("filter limit reached", token=None)
    spend_steps(1 + _size(value) // _ITEMS_PER_STEP)


def check_filter_output(result: Any) -> None:
    if _size(result) > _MAX_FILTER_SIZE:
        raise ResourceLimitError("filter limit reached", token=None)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | range) else 0
