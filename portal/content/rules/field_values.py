"""Merge values that remember the field they came from through every filter, so that errors can name it."""

from typing import Any

from liquid.exceptions import FilterArgumentError

from portal.core.translation import gettext as _


class FieldValue(str):
    """The value of a field such as `data.when`; a sample (`is_sample`) cannot be parsed as a date or number."""

    field_name: str
    is_sample: bool

    def __new__(cls, text: str, field: str, is_sample: bool = False) -> "FieldValue":
        value = super().__new__(cls, text)
        value.field_name, value.is_sample = field, is_sample
        return value


class UrlEncoded(FieldValue):
    """The unchanged result of `url_encode`."""


class FilterError(FilterArgumentError):
    """A filter cannot use `value`; `message` is about it: “%(value)s is not a whole number.”"""

    def __init__(self, value: Any, message: str, **values: str) -> None:
        self.field_name = value.field_name if isinstance(value, FieldValue) else ""
        super().__init__(_(message, value=_quote(value, self.field_name), **values), token=None)


def _quote(value: Any, field: str) -> str:
    text = str(value)
    return _("“%(text)s”, given for %(field)s,", text=text, field=field) if field else _("“%(text)s”", text=text)


def propagate_field(result: Any, operands: tuple[Any, ...]) -> Any:
    """A filter's result, with the field name of the first operand that has one."""
    sources = [source for operand in operands if (source := _source_value(operand))]
    if isinstance(result, UrlEncoded) or not sources:
        return result
    is_sample = any(source.is_sample for source in sources)
    if isinstance(result, list):
        return [with_field(item, sources[0].field_name, is_sample) for item in result]
    return with_field(result, sources[0].field_name, is_sample)


def _source_value(operand: Any) -> FieldValue | None:
    first = operand[0] if isinstance(operand, list) and operand else operand
    return first if isinstance(first, FieldValue) else None


def with_field(value: Any, field: str, is_sample: bool = False) -> Any:
    """Text that does not know its field yet becomes a `FieldValue`."""
    is_plain = isinstance(value, str) and not isinstance(value, FieldValue)
    return FieldValue(value, field, is_sample) if is_plain else value
