"""Conditions that narrow an audience: what can be asked, whether a condition is complete, and its words.

A condition is `{"field": …, "operator": …, "value": …}`: an `Operator`, and the text that was typed, or a list of texts
for `ANY_OF`. Days count in UTC from the audience's `as_of`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from portal.core.rules import text_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.routing import Reason
from portal.core.translation import N_
from portal.core.translation import gettext as _

MAX_CONDITIONS = 20
MAX_DAYS = 3_650
_MAX_VALUE_LENGTH = 200
_MAX_VALUES = 100
ATTRIBUTE_PREFIX = "attribute."
GETS_TEXTS = "gets_texts"
SMS_STATES: dict[str, str] = {
    GETS_TEXTS: N_("gets texts"),
    Reason.NO_NUMBER: N_("no phone number"),
    Reason.NOT_OPTED_IN: N_("not opted in"),
    Reason.STOPPED: N_("opted out"),
    Reason.UNREACHABLE: N_("phone cannot receive texts"),
    Reason.OTHER_ACCOUNT_RECEIVES: N_("texts go to another account"),
}
"""What `core.rules.routing` decides for an account while texts are on, with labels."""


class FieldKind(StrEnum):
    """What the values of a field are. The first four are the kinds of attributes."""

    TEXT = "text"
    DATE = "date"
    NUMBER = "number"
    CHOICE = "choice"
    COLUMN = "column"
    """A column of the account that only has a few values."""
    SMS_STATE = "sms_state"
    SEND = "send"
    TOPIC = "topic"


class Operator(StrEnum):
    """The labels are read behind the label of the field."""

    label: str

    def __new__(cls, value: str, label: str) -> "Operator":
        operator = str.__new__(cls, value)
        operator._value_, operator.label = value, label
        return operator

    IS = "is", N_("is")
    IS_NOT = "is_not", N_("is not")
    ANY_OF = "any_of", N_("is any of")
    CONTAINS = "contains", N_("contains")
    ON = "on", N_("is on")
    BEFORE = "before", N_("is before")
    AFTER = "after", N_("is after")
    NEXT_DAYS = "next_days", N_("is today or in the next … days")
    PAST_DAYS = "past_days", N_("is today or in the past … days")
    EQUALS = "equals", N_("is equal to")
    AT_LEAST = "at_least", N_("is at least")
    AT_MOST = "at_most", N_("is at most")
    IS_SET = "is_set", N_("has a value")
    NOT_SET = "not_set", N_("has no value")
    NOT_REACHED_BY = "not_reached_by", N_("did not reach them")
    TEXTS_ON = "texts_on", N_("are on")
    TEXTS_OFF = "texts_off", N_("are off")


OPERATORS_BY_VALUE: dict[str, Operator] = {operator.value: operator for operator in Operator}
_SET = (Operator.IS_SET, Operator.NOT_SET)
DAYS = (Operator.NEXT_DAYS, Operator.PAST_DAYS)
OPERATORS: dict[FieldKind, tuple[Operator, ...]] = {
    FieldKind.TEXT: (Operator.IS, Operator.IS_NOT, Operator.CONTAINS, *_SET),
    FieldKind.DATE: (Operator.ON, Operator.BEFORE, Operator.AFTER, *DAYS, *_SET),
    FieldKind.NUMBER: (Operator.EQUALS, Operator.AT_LEAST, Operator.AT_MOST, *_SET),
    FieldKind.CHOICE: (Operator.IS, Operator.IS_NOT, Operator.ANY_OF, *_SET),
    FieldKind.COLUMN: (Operator.IS, Operator.IS_NOT, Operator.ANY_OF),
    FieldKind.SMS_STATE: (Operator.IS, Operator.IS_NOT, Operator.ANY_OF),
    FieldKind.SEND: (Operator.NOT_REACHED_BY,),
    FieldKind.TOPIC: (Operator.TEXTS_OFF, Operator.TEXTS_ON),
}
_PHRASES = {
    Operator.IS: N_("%(field)s: %(value)s"),
    Operator.IS_NOT: N_("%(field)s: not “%(value)s”"),
    Operator.ANY_OF: N_("%(field)s: one of %(value)s"),
    Operator.CONTAINS: N_("%(field)s: contains “%(value)s”"),
    Operator.ON: N_("%(field)s: on %(value)s"),
    Operator.BEFORE: N_("%(field)s: before %(value)s"),
    Operator.AFTER: N_("%(field)s: after %(value)s"),
    Operator.NEXT_DAYS: N_("%(field)s: today or in the next %(value)s days"),
    Operator.PAST_DAYS: N_("%(field)s: today or in the past %(value)s days"),
    Operator.EQUALS: N_("%(field)s: equal to %(value)s"),
    Operator.AT_LEAST: N_("%(field)s: at least %(value)s"),
    Operator.AT_MOST: N_("%(field)s: at most %(value)s"),
    Operator.IS_SET: N_("%(field)s: has a value"),
    Operator.NOT_SET: N_("%(field)s: has no value"),
    Operator.NOT_REACHED_BY: N_("Not reached by send %(value)s"),
    Operator.TEXTS_ON: N_("Texts about %(value)s: on"),
    Operator.TEXTS_OFF: N_("Texts about %(value)s: off"),
}


@dataclass(frozen=True)
class ConditionField:
    """`choices` are the labels of values that a condition may name; empty if it may name any.

    `attribute_id` is 0 for what is not an attribute.
    """

    name: str
    label: str
    kind: FieldKind
    choices: Mapping[str, str] = field(default_factory=dict)
    attribute_id: int = 0


Fields = Mapping[str, ConditionField]
ACCOUNT_TYPE = ConditionField("account_type", N_("Account type"), FieldKind.COLUMN)
TIME_ZONE = ConditionField("timezone", N_("Time zone"), FieldKind.COLUMN)
SMS_STATE = ConditionField("sms_state", N_("Texts"), FieldKind.SMS_STATE, SMS_STATES)
SEND = ConditionField("send", N_("An earlier send"), FieldKind.SEND)
TOPIC = "topic"
OWN_FIELDS = (ACCOUNT_TYPE, TIME_ZONE, SMS_STATE, SEND)


def attribute_field(attribute_id: int, key: str, label: str, kind: str, choices: Sequence[str]) -> ConditionField:
    labels = {choice: choice for choice in choices} if kind == FieldKind.CHOICE else {}
    return ConditionField(f"{ATTRIBUTE_PREFIX}{key}", label, FieldKind(kind), labels, attribute_id)


def topic_field(names: Mapping[str, str]) -> ConditionField:
    """Whether the person has left the texts about a topic on, whether they get texts or not. `names` are by id."""
    return ConditionField(TOPIC, N_("Texts about a topic"), FieldKind.TOPIC, names)


def conditions_problem(audience: Mapping[str, Any], fields: Fields) -> str | None:
    """Why nobody can be chosen by these conditions, as a sentence."""
    rows = _rows(audience.get("conditions"))
    if not rows:
        return _("Add at least one condition.")
    if len(rows) > MAX_CONDITIONS:
        return _("An audience can have at most %(limit)s conditions.", limit=MAX_CONDITIONS)
    if audience.get("match") not in ("all", "any"):
        return _("Choose whether all of the conditions must be true or any of them.")
    problems = (condition_problem(row, fields) for row in rows)
    return next((problem for problem in problems if problem), None)


def condition_problem(condition: Any, fields: Fields) -> str | None:
    name = str(condition.get("field", "")) if isinstance(condition, Mapping) else ""
    described = fields.get(name)
    if described is None:
        missing = name.removeprefix(ATTRIBUTE_PREFIX) or "?"
        return _("There is no field “%(name)s” any more. Remove its condition or choose another field.", name=missing)
    label, operator = _(described.label), condition.get("operator")
    if operator not in OPERATORS[described.kind]:
        return _("%(field)s: choose how to compare it.", field=label)
    if operator in _SET:
        return None
    values = condition_values(condition)
    if not values or not all(values) or any(len(value) > _MAX_VALUE_LENGTH for value in values):
        return _("%(field)s: enter or choose a value.", field=label)
    if len(values) > (_MAX_VALUES if operator == Operator.ANY_OF else 1):
        return _("%(field)s: choose one value, or at most %(limit)s.", field=label, limit=_MAX_VALUES)
    return next((problem for value in values if (problem := _value_problem(value, operator, described))), None)


def _value_problem(value: str, operator: str, described: ConditionField) -> str | None:
    label = _(described.label)
    if operator in DAYS and not (value.isascii() and value.isdigit() and int(value[:9]) <= MAX_DAYS):
        return _("%(field)s: enter a whole number of days from 0 to %(limit)s.", field=label, limit=MAX_DAYS)
    if operator not in DAYS and described.kind == FieldKind.DATE and parse_day(value) is None:
        return _("%(field)s: enter a date that exists, such as 2027-03-31.", field=label)
    if described.kind == FieldKind.NUMBER and parse_number(value) is None:
        return _("%(field)s: enter a number, such as 12 or 0.5.", field=label)
    if described.kind == FieldKind.SEND and not (value.isascii() and value.isdigit() and len(value) <= 18):
        return _("%(field)s: enter the number of a send.", field=label)
    if not _is_choice(value, described):
        return _("%(field)s: “%(value)s” is not one of its values any more.", field=label, value=value)
    return None


def _is_choice(value: str, described: ConditionField) -> bool:
    if described.kind == FieldKind.CHOICE:
        return fold_case(value) in map(fold_case, described.choices)
    return not described.choices or value in described.choices


def condition_values(condition: Mapping[str, Any]) -> list[str]:
    """One, or those of a list."""
    value = condition.get("value")
    return [text_input.clean_line(str(item)) for item in (value if isinstance(value, list) else [value or ""])]


def parse_day(value: str) -> date | None:
    try:
        return date.fromisoformat(value) if len(value) == 10 else None
    except ValueError:
        return None


def parse_number(value: str) -> float | None:
    """None for what is no number of ordinary size."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return float(number) if number.is_finite() and abs(number) < 10**15 else None


def describe_conditions(audience: Mapping[str, Any], fields: Fields) -> list[str]:
    """Each condition in words."""
    return [describe_condition(row, fields) for row in _rows(audience.get("conditions")) if isinstance(row, Mapping)]


def describe_condition(condition: Mapping[str, Any], fields: Fields) -> str:
    name, operator = str(condition.get("field", "")), str(condition.get("operator", ""))
    described, values = fields.get(name), condition_values(condition)
    label = _(described.label) if described else name.removeprefix(ATTRIBUTE_PREFIX)
    words = ", ".join(_value_label(value, described) for value in values)
    return _(_PHRASES.get(operator, _PHRASES[Operator.IS]), field=label, value=words)  # type: ignore[call-overload]


def _value_label(value: str, described: ConditionField | None) -> str:
    if described is None or described.kind not in (FieldKind.SMS_STATE, FieldKind.TOPIC):
        return value
    label = described.choices.get(value, value)
    return _(label) if described.kind == FieldKind.SMS_STATE else label


def summarize_conditions(audience: Mapping[str, Any]) -> str:
    """As the audit log keeps them: “sms_state is gets_texts and attribute.credits at_least 3”."""
    rows = _rows(audience.get("conditions"))
    parts = (f"{row['field']} {row['operator']} {'|'.join(condition_values(row))}".strip() for row in rows)
    return (" and " if audience.get("match") == "all" else " or ").join(parts)


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
