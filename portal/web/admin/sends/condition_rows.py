"""The conditions of an audience as rows of a form."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wtforms import Field

from portal.accounts.tables.accounts import account_types, time_zones
from portal.core.rules import text_input
from portal.core.translation import gettext as _
from portal.sends.rules.audience_conditions import (
    DAYS,
    MAX_CONDITIONS,
    OPERATORS,
    SMS_STATE,
    TOPIC,
    ConditionField,
    FieldKind,
    Operator,
    condition_problem,
    condition_values,
)
from portal.sends.tables.condition_queries import condition_fields
from portal.sends.tables.sends import find_sends
from portal.web.layout import is_sms_visible
from portal.web.template_filters import send_subject

_ROW_INPUT = re.compile(r"conditions-([0-9]{1,3})-field")
_MAX_SENDS = 50
"""So many are offered at once, the newest first."""
_TYPED_KINDS = (FieldKind.DATE, FieldKind.NUMBER, FieldKind.SEND)
_CHOSEN_KINDS = (FieldKind.CHOICE, FieldKind.COLUMN, FieldKind.SMS_STATE, FieldKind.TOPIC)
_ABOUT_TEXTS = (SMS_STATE.name, TOPIC)


class ConditionsField(Field):  # type: ignore[misc]
    """Reads the inputs `conditions-N-field`, `…-operator` and `…-value` of each row N.

    `data` is the conditions as JSON, so that one hidden input of this name can hand them on. The buttons
    `add_condition` and `remove_condition` change the rows.
    """

    def process(self, formdata: Any, data: Any = "[]", extra_filters: Any = None) -> None:
        super().process(formdata, data, extra_filters)
        if not formdata:
            return
        numbers = sorted({int(match[1]) for name in formdata if (match := _ROW_INPUT.fullmatch(name))})
        removed = formdata.get("remove_condition")
        rows = [_typed_row(formdata, number) for number in numbers if str(number) != removed]
        rows = [row for row in rows if row["field"]] if numbers else self.rows
        if formdata.get("add_condition"):
            rows.append(_row_of())
        self.data = json.dumps(rows[:MAX_CONDITIONS])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """As they are typed; a row without a field is blank."""
        try:
            rows = json.loads(self.data or "[]")
        except ValueError:
            return []
        return [_row_of(**row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    @property
    def conditions(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row.get("field")]


def _typed_row(formdata: Any, number: int) -> dict[str, Any]:
    names, operators, values = (
        [text for text in formdata.getlist(f"conditions-{number}-{part}") if isinstance(text, str)]
        for part in ("field", "operator", "value")
    )
    operator = text_input.clean_code("".join(operators[:1]))
    value = values if operator == Operator.ANY_OF else "".join(values[:1])
    return _row_of(text_input.clean_code("".join(names[:1])), operator, value)


def _row_of(field: Any = "", operator: Any = "", value: Any = "", **_others: Any) -> dict[str, Any]:
    values = condition_values({"value": value})
    return {"field": str(field), "operator": str(operator), "value": values if isinstance(value, list) else values[0]}


@dataclass(frozen=True)
class ConditionRow:
    """What a page shows of one condition. `choices` are labels by value; None for a value that is typed as
    `input_type`: text, number, date, days or send."""

    number: int
    field: str
    label: str
    operator: str
    operators: Mapping[str, str]
    values: list[str]
    choices: Mapping[str, str] | None
    input_type: str
    problem: str

    @property
    def needs_value(self) -> bool:
        return bool(self.field) and self.operator not in (Operator.IS_SET, Operator.NOT_SET)

    @property
    def sends(self) -> dict[str, str]:
        """Those to choose from, the chosen one first."""
        return send_choices(self.values[0]) | send_choices() if self.values[0] else send_choices()

    @property
    def is_multiple(self) -> bool:
        return self.operator == Operator.ANY_OF


@dataclass(frozen=True)
class ConditionRows:
    """`fields` are the labels of all fields by name."""

    fields: Mapping[str, str]
    rows: list[ConditionRow]


def condition_rows(field: ConditionsField, with_problems: bool) -> ConditionRows:
    """At least one row, so that there is one to fill in. While texts are hidden, conditions on them are not offered."""
    fields = condition_fields()
    rows = field.rows or [_row_of()]
    offered = fields if is_sms_visible() else {name: fields[name] for name in fields if name not in _ABOUT_TEXTS}
    return ConditionRows(
        {name: _(described.label) for name, described in offered.items()},
        [_row(number, row, fields, with_problems) for number, row in enumerate(rows)],
    )


def _row(
    number: int, row: Mapping[str, Any], fields: Mapping[str, ConditionField], with_problems: bool
) -> ConditionRow:
    described = fields.get(str(row.get("field", "")))
    operators = OPERATORS[described.kind] if described else ()
    operator = str(row.get("operator", ""))
    operator = operator if operator in operators else str(next(iter(operators), ""))
    problem = condition_problem({**row, "operator": operator}, fields) if with_problems and row.get("field") else None
    return ConditionRow(
        number=number,
        field=str(row.get("field", "")),
        label=_(described.label) if described else str(row.get("field", "")),
        operator=operator,
        operators={each: _(each.label) for each in operators},
        values=condition_values(row),
        choices=_choices(described) if described else None,
        input_type=_input_type(described, operator),
        problem=problem or "",
    )


def _input_type(described: ConditionField | None, operator: str) -> str:
    if operator in DAYS:
        return "days"
    return described.kind if described is not None and described.kind in _TYPED_KINDS else "text"


def send_choices(words: str = "") -> dict[str, str]:
    """Labels of the newest sends by number: those whose number or template's name contains the words."""
    sends = find_sends(text_input.clean_line(words), _MAX_SENDS)
    return {str(send.id): f"{send.id}: {send_subject(send.version, send.data)}" for send in sends}


def _choices(described: ConditionField) -> Mapping[str, str] | None:
    if described.kind not in _CHOSEN_KINDS:
        return None
    if described.kind == FieldKind.COLUMN:
        values = account_types() if described.name == "account_type" else time_zones()
        return dict(zip(values, values, strict=True))
    return {
        value: _(label) if described.kind == FieldKind.SMS_STATE else label
        for value, label in described.choices.items()
    }
