"""Read and validate single fields of fault settings. Every function raises `FaultError` for an invalid value."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from simulator.faults.model import Range

Fields = Mapping[str, Any]


class FaultError(ValueError):
    """The fault settings are invalid; the message says why."""


def json_object(data: object, name: str) -> Fields:
    if not isinstance(data, Mapping):
        raise FaultError(f"{name} must be a JSON object.")
    return data


def json_list(data: Fields, name: str) -> list[object]:
    """A single object counts as a list of one."""
    value = data.get(name)
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def check_names(data: Fields, settings: type, *computed: str) -> None:
    """The names must be fields of the dataclass `settings`; `computed` ones are ignored."""
    allowed = {field.name for field in fields(settings)} | set(computed)
    unknown = sorted(set(data) - allowed)
    if unknown:
        raise FaultError(f"{', '.join(unknown)}: no such setting. The settings are {', '.join(sorted(allowed))}.")


def number(data: Fields, name: str, default: float = 0) -> float:
    value = data.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FaultError(f"{name} must be a number.")
    return value


def non_negative(data: Fields, name: str, default: float) -> float:
    value = number(data, name, default)
    if value < 0:
        raise FaultError(f"{name} must be 0 or more.")
    return value


def whole_number(data: Fields, name: str, default: int | None) -> int | None:
    value = data.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FaultError(f"{name} must be a whole number of 0 or more.")
    return value


def probability(data: Fields, name: str, default: float) -> float:
    value = non_negative(data, name, default)
    if value > 1:
        raise FaultError(f"{name} is a probability and must be between 0 and 1.")
    return value


def milliseconds(data: Fields, name: str, default: Range) -> Range:
    """One number, or a list of the minimum and the maximum."""
    value = data.get(name)
    if value is None:
        return default
    if not isinstance(value, list):
        return (non_negative(data, name, 0),) * 2
    if len(value) != 2:
        raise FaultError(f"{name} must be a number or a list [min, max].")
    low, high = (non_negative({name: bound}, name, 0) for bound in value)
    return (min(low, high), max(low, high))


def text(data: Fields, name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise FaultError(f"{name} must be a string.")
    return value or None


def one_of(data: Fields, name: str, choices: tuple[str, ...], default: str | None = None) -> str | None:
    """Without a default the field is required. With an empty default it may be absent, and None is returned."""
    value = data.get(name)
    if value is None and default is not None:
        return default or None
    if str(value) not in choices:
        raise FaultError(f"{name} must be one of {', '.join(choices)}.")
    return str(value)


def one_of_or_null(data: Fields, name: str, choices: tuple[str, ...], default: str | None) -> str | None:
    if name in data and data[name] is None:
        return None
    return one_of(data, name, choices, default)
