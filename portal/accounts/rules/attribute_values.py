"""What an attribute may be called, and what its values may be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from portal.accounts.rules.account_fields import RESERVED_KEYS
from portal.accounts.rules.attribute_dates import parse_day
from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.translation import N_
from portal.core.translation import gettext as _

MAX_KEY_LENGTH = 40
MAX_VALUE_LENGTH = 200
_KEY = re.compile(rf"[a-z][a-z0-9_]{{0,{MAX_KEY_LENGTH - 1}}}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{1,10})?|\.\d{1,10})", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3}){1,4}\.\d{1,10}|(?:,\d{3}){2,4})", re.ASCII)
"""“1,250” is refused: the comma may separate thousands or decimals."""


class AttributeKind(StrEnum):
    label: str

    TEXT = "text", N_("Words")
    DATE = "date", N_("Date")
    NUMBER = "number", N_("Number")
    CHOICE = "choice", N_("Choice")

    def __new__(cls, value: str, label: str) -> "AttributeKind":
        member = str.__new__(cls, value)
        member._value_, member.label = value, label
        return member


class AttributeValueError(ValueError):
    """The value is invalid; the message tells the person who wrote it why."""


@dataclass(frozen=True)
class AttributeDefinition:
    """`key` names it in templates, files and commands; only a choice has `choices`."""

    key: str
    label: str
    kind: str
    choices: tuple[str, ...] = ()

    def parse(self, text: str, region: str) -> "CheckedValue | None":
        """None for a blank value. Raises `AttributeValueError`. `region` says how its people write dates."""
        return _parse_value(self.kind, self.choices, text, region)

    @property
    def example(self) -> str:
        """A value for previews. That of a text is only a placeholder."""
        placeholder = f"[{self.key.replace('_', ' ')}]"
        return self.choices[0] if self.kind == AttributeKind.CHOICE else _EXAMPLES.get(self.kind, placeholder)


_EXAMPLES = {AttributeKind.DATE.value: "2027-05-28", AttributeKind.NUMBER.value: "12"}


@dataclass(frozen=True)
class CheckedValue:
    """`value` is what people read; conditions compare `comparable`, or the `number` of a number."""

    value: str
    comparable: str
    number: float | None = None


def key_problem(key: str) -> str | None:
    if not _KEY.fullmatch(key):
        return _(
            "Use at most %(limit)s lowercase letters, digits and underscores, and start with a letter, such as "
            "expires_on.",
            limit=MAX_KEY_LENGTH,
        )
    if key in RESERVED_KEYS:
        return _("“%(key)s” has a meaning in templates or imports already. Choose another key.", key=key)
    return None


def clean_choices(lines: Sequence[str]) -> tuple[str, ...]:
    """Without blank ones, and without those that differ from another one only in case."""
    choices: dict[str, str] = {}
    for choice in filter(None, map(text_input.clean_line, lines)):
        choices.setdefault(fold_case(choice), choice)
    return tuple(choices.values())


@lru_cache(maxsize=10_000)
def _parse_value(kind: str, choices: tuple[str, ...], text: str, region: str) -> CheckedValue | None:
    """Cached, since many rows of a file have the same value."""
    text = text_input.clean_line(text)
    if not text:
        return None
    if len(text) > MAX_VALUE_LENGTH:
        raise AttributeValueError(
            _("Use at most %(limit)s characters; this has %(count)s.", limit=MAX_VALUE_LENGTH, count=len(text))
        )
    if kind == AttributeKind.DATE:
        day = _parse_date(text, region)
        return CheckedValue(day, day)
    if kind == AttributeKind.NUMBER:
        return _parse_number(text)
    value = _parse_choice(text, choices) if kind == AttributeKind.CHOICE else text
    return CheckedValue(value, fold_case(value))


def _parse_date(text: str, region: str) -> str:
    day = parse_day(text, region)
    if day is None:
        raise AttributeValueError(
            _("“%(value)s” is not a date. Write it as YYYY-MM-DD, such as 2027-05-28.", value=text)
        )
    return day.isoformat()


def _parse_number(text: str) -> CheckedValue:
    if not (_NUMBER.fullmatch(text) or _GROUPED.fullmatch(text)):
        message = _("“%(value)s” is not a number. Write it as 1250, 1250.5 or 1,250.00.", value=text)
        raise AttributeValueError(message)
    number = Decimal(text.replace(",", "")).normalize() + 0  # no negative zero
    canonical = format(number, "f")
    return CheckedValue(canonical, canonical, float(number))


def _parse_choice(text: str, choices: Sequence[str]) -> str:
    """As it was declared, whatever the case."""
    chosen = {fold_case(choice): choice for choice in choices}.get(fold_case(text))
    if chosen is None:
        raise AttributeValueError(
            _("“%(value)s” is not one of the choices: %(choices)s.", value=text, choices=", ".join(choices))
        )
    return chosen
