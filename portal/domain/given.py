"""Values that a template is filled in with: each knows the field it came from, through every filter."""

from typing import Any


class Given(str):
    """Text of a field such as `data.when`; `stands_in` marks a sample, which no filter can read as a date or number."""

    field: str
    stands_in: bool

    def __new__(cls, text: str, field: str, stands_in: bool = False) -> "Given":
        made = super().__new__(cls, text)
        made.field, made.stands_in = field, stands_in
        return made


class UrlEncoded(Given):
    """What `url_encode` has made, and nothing has changed since."""


class Unreadable(ValueError):
    """A filter cannot read `value`; the sentence continues with why, such as “is not a complete date”."""

    def __init__(self, value: Any, why: str) -> None:
        super().__init__(why)
        self.value, self.why = value, why

    @property
    def field(self) -> str:
        return self.value.field if isinstance(self.value, Given) else ""

    @property
    def sentence(self) -> str:
        given = f", given for {self.field}," if self.field else ""
        return f"“{self.value}”{given} {self.why}"


def carry(made: Any, operands: tuple[Any, ...]) -> Any:
    """What a filter made, with the name of the field that it was made from."""
    if isinstance(made, UrlEncoded):
        return made
    origin = next((found for operand in operands if (found := _origin(operand))), None)
    if origin is None:
        return made
    stands_in = any(found.stands_in for operand in operands if (found := _origin(operand)))
    if isinstance(made, list):
        return [_named(item, origin.field, stands_in) for item in made]
    return _named(made, origin.field, stands_in)


def _origin(operand: Any) -> Given | None:
    first = operand[0] if isinstance(operand, list) and operand else operand
    return first if isinstance(first, Given) else None


def _named(made: Any, field: str, stands_in: bool) -> Any:
    return Given(made, field, stands_in) if isinstance(made, str) and not isinstance(made, Given) else made
