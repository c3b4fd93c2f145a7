"""Values that a template is filled in with: each knows the field it came from, through every filter."""

from typing import Any


class FieldValue(str):
    """Text of a field such as `data.when`; `is_sample` marks a sample, which no filter can read as a date or number."""

    field_name: str
    is_sample: bool

    def __new__(cls, text: str, field: str, is_sample: bool = False) -> "FieldValue":
        made = super().__new__(cls, text)
        made.field_name, made.is_sample = field, is_sample
        return made


class UrlEncoded(FieldValue):
    """What `url_encode` has made, and nothing has changed since."""


class FilterError(ValueError):
    """A filter cannot read `value`; the sentence continues with why, such as “is not a complete date”."""

    def __init__(self, value: Any, why: str) -> None:
        super().__init__(why)
        self.value, self.reason = value, why

    @property
    def field(self) -> str:
        return self.value.field_name if isinstance(self.value, FieldValue) else ""

    @property
    def message(self) -> str:
        given = f", given for {self.field}," if self.field else ""
        return f"“{self.value}”{given} {self.reason}"


def propagate_field(made: Any, operands: tuple[Any, ...]) -> Any:
    """What a filter made, with the name of the field that it was made from."""
    if isinstance(made, UrlEncoded):
        return made
    origin = next((found for operand in operands if (found := _source_value(operand))), None)
    if origin is None:
        return made
    stands_in = any(found.is_sample for operand in operands if (found := _source_value(operand)))
    if isinstance(made, list):
        return [_with_field(item, origin.field_name, stands_in) for item in made]
    return _with_field(made, origin.field_name, stands_in)


def _source_value(operand: Any) -> FieldValue | None:
    first = operand[0] if isinstance(operand, list) and operand else operand
    return first if isinstance(first, FieldValue) else None


def _with_field(made: Any, field: str, is_sample: bool) -> Any:
    return FieldValue(made, field, is_sample) if isinstance(made, str) and not isinstance(made, FieldValue) else made
