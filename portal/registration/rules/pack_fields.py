"""The fields of a registration and their rules (docs/twilio.md#registration).

Values are in English, as carriers require; labels and problems are in the reader's language.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from portal.content.rules.wording_points import missing_points
from portal.core.translation import N_, join_words
from portal.core.translation import gettext as _

Value = str | bool | tuple[str, ...]
_FREE_MAIL = frozenset({"gmail.com", "outlook.com", "hotmail.com", "yahoo.com", "icloud.com", "aol.com", "proton.me"})
_VOLUMES = (10, 100, 1_000, 10_000, 100_000, 250_000, 500_000, 750_000, 1_000_000, 5_000_000)
_SHORT = 20
"""Characters of a keyword, of which several stand on one line."""
_LEAST_VOLUME = 1_000
"""What a new portal asks for."""


class Source(Enum):
    """Where a value is set."""

    BUSINESS = N_("Business")
    ORGANIZATION = N_("Organization")
    PUBLIC_ADDRESS = N_("Public address")
    TEMPLATES = N_("Templates")
    CONTENT_BLOCK = N_("Content blocks")
    PORTAL = N_("The portal")


@dataclass(frozen=True)
class Rule:
    """`key` is the carrier's name of the field. Lengths are in characters, of each value of a list."""

    key: str
    label: str
    source: Source
    min_length: int = 1
    max_length: int = 200
    min_count: int = 1
    required_points: tuple[str, ...] = ()
    is_own_email: bool = False
    """An address of a free mail service proves nothing about the business (30482, 30881)."""
    block: str = ""
    """The content block that is the value."""


@dataclass(frozen=True)
class PackField:
    rule: Rule
    value: Value
    problem: str = ""

    @property
    def values(self) -> tuple[str, ...]:
        """To display it."""
        if isinstance(self.value, bool):
            return (_("Yes") if self.value else _("No"),)
        if isinstance(self.value, str):
            return (self.value,)
        is_short = all(len(item) <= _SHORT for item in self.value)
        return (", ".join(self.value),) if is_short else self.value


@dataclass(frozen=True)
class PackSection:
    key: str
    title: str
    fields: tuple[PackField, ...]


@dataclass(frozen=True)
class RegistrationPack:
    sections: tuple[PackSection, ...]

    @property
    def missing(self) -> list[PackField]:
        """One of each kind, since several sections ask for the same value."""
        problems = [field for section in self.sections for field in section.fields if field.problem]
        return list({(field.rule.label, field.problem): field for field in problems}.values())

    def as_json(self) -> str:
        data = {section.key: {item.rule.key: item.value for item in section.fields} for section in self.sections}
        missing = {f"{section.key}.{item.rule.key}": item.problem for section in self.sections
                   for item in section.fields if item.problem}  # fmt: skip
        return json.dumps(data | {"missing": missing}, indent=2, ensure_ascii=False) + "\n"


def checked(rule: Rule, value: Value, organisation: str, address_problem: str = "") -> PackField:
    """`address_problem` says why reviewers cannot open the public address; "" if they can."""
    return PackField(rule, value, _problem(rule, value, organisation, address_problem))


def _problem(rule: Rule, value: Value, organisation: str, address_problem: str) -> str:
    if isinstance(value, bool):
        return ""
    items = (value,) if isinstance(value, str) else value
    filled = [item for item in items if item.strip()]
    if not filled:
        return _("It is missing.")
    if len(filled) < rule.min_count:
        return _("At least %(count)s are needed, and there are %(given)s.", count=rule.min_count, given=len(filled))
    if rule.source is Source.PUBLIC_ADDRESS:
        return address_problem
    return _text_problem(rule, filled, organisation)


def _text_problem(rule: Rule, items: list[str], organisation: str) -> str:
    shortest, longest = min(map(len, items)), max(map(len, items))
    if shortest < rule.min_length:
        return _("It must have at least %(limit)s characters, and has %(used)s.", limit=rule.min_length, used=shortest)
    if longest > rule.max_length:
        return _("It may have %(limit)s characters at most, and has %(used)s.", limit=rule.max_length, used=longest)
    if rule.is_own_email and items[0].rpartition("@")[2].lower() in _FREE_MAIL:
        return _("It must be an address in the organization’s own domain.")
    text = " ".join(items)
    points = missing_points(rule.required_points, text, text, organisation)
    missing = join_words([_(issue.point) for issue in points])
    return _("Its wording lacks: %(points)s.", points=missing) if missing else ""


def message_volume(texts_a_month: int) -> str:
    """The smallest volume that Twilio offers and that is enough."""
    needed = max(texts_a_month, _LEAST_VOLUME)
    fitting = next((volume for volume in _VOLUMES if volume >= needed), None)
    return f"{fitting:,}" if fitting else "10,000,000+"


def keyword_list(keywords: Iterable[str]) -> tuple[str, ...]:
    """Carriers accept letters and digits only."""
    return tuple(sorted(word.upper() for word in keywords if word.isascii() and word.isalnum()))
