"""The conditions of an audience in SQL: sets of accounts, read from indexes and combined."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, select
from sqlalchemy.orm import aliased

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue, all_attributes
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_case
from portal.core.rules.delivery_status import OPEN, DeliveryState
from portal.core.rules.routing import Reason
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.rules import audience_conditions as rules
from portal.sends.rules.audience_conditions import ConditionField, FieldKind, Operator
from portal.sends.tables.sms_state_conditions import AccountIds, accounts_in_sms_state, accounts_with_number

_Contains = Callable[[AccountIds], ColumnElement[bool]]
_FAILED = tuple(state for state in DeliveryState if state.final and state != DeliveryState.HANDED_OFF)


def condition_fields() -> dict[str, ConditionField]:
    """Everything that a condition can ask about, by name."""
    attributes = [rules.attribute_field(row.id, row.key, row.label, row.kind, row.choices) for row in all_attributes()]
    return {field.name: field for field in (*rules.OWN_FIELDS, *attributes)}


def matches_conditions(audience: Mapping[str, Any], one_by_one: bool) -> ColumnElement[bool]:
    """Whether an account is in an audience of conditions. Nobody is, if a condition cannot be understood.

    `one_by_one` is for SQLite, which either collects all accounts that meet a condition, or looks at each in turn;
    the latter takes long for many accounts, but little for the next few. PostgreSQL chooses by itself.
    """
    fields = condition_fields()
    today = rules.parse_day(str(audience.get("as_of", "")))
    if today is None or rules.conditions_problem(audience, fields):
        return false()
    contains = _contains_account if one_by_one or not _is_sqlite() else _contains_id
    clauses = [_clause(row, fields[row["field"]], today, contains) for row in audience["conditions"]]
    return and_(*clauses) if audience["match"] == "all" else or_(*clauses)


def _is_sqlite() -> bool:
    return db.session.get_bind().dialect.name == "sqlite"


def _contains_id(accounts: AccountIds) -> ColumnElement[bool]:
    return Account.id.in_(accounts[1])


def _contains_account(accounts: AccountIds) -> ColumnElement[bool]:
    column, query = accounts
    return query.where(column == Account.id).correlate(Account).exists()


def _clause(
    condition: Mapping[str, Any], field: ConditionField, today: date, contains: _Contains
) -> ColumnElement[bool]:
    """“Is not” is also true without a value."""
    operator, values = rules.OPERATORS_BY_VALUE[condition["operator"]], rules.condition_values(condition)
    if field.kind == FieldKind.SEND:
        return contains(_not_reached_by(int(values[0])))
    if field.kind == FieldKind.SMS_STATE:
        is_true = or_(*(_has_sms_state(value, contains) for value in values))
    elif field.kind == FieldKind.COLUMN:
        is_true = getattr(Account, field.name).in_(values)
    else:
        is_true = contains(_with_value(field, operator, values, today))
    return not_(is_true) if operator in (Operator.IS_NOT, Operator.NOT_SET) else is_true


def _has_sms_state(state: str, contains: _Contains) -> ColumnElement[bool]:
    if state == Reason.NO_NUMBER:
        return not_(contains(accounts_with_number()))
    return contains(accounts_in_sms_state(state))


def _with_value(field: ConditionField, operator: Operator, values: list[str], today: date) -> AccountIds:
    """The accounts for which the comparison is true, or would be without its “not”."""
    rows = aliased(AttributeValue)
    query = select(rows.account_id).where(rows.attribute_id == field.attribute_id)
    if operator in (Operator.IS_SET, Operator.NOT_SET):
        return rows.account_id, query
    if field.kind == FieldKind.NUMBER:
        return rows.account_id, query.where(_compare_number(rows.number, operator, values[0]))
    return rows.account_id, query.where(_compare_text(rows.comparable, operator, values, today))


def _compare_number(column: Any, operator: Operator, value: str) -> ColumnElement[bool]:
    number = rules.parse_number(value)
    if operator == Operator.AT_LEAST:
        return column >= number  # type: ignore[no-any-return]
    return column <= number if operator == Operator.AT_MOST else column == number  # type: ignore[no-any-return]


def _compare_text(column: Any, operator: Operator, values: list[str], today: date) -> ColumnElement[bool]:
    """Dates too, as they are stored as YYYY-MM-DD."""
    value = fold_case(values[0])
    if operator in rules.DAYS:
        end = (
            today + timedelta(days=int(value)) if operator == Operator.NEXT_DAYS else today - timedelta(days=int(value))
        )
        return column.between(*sorted((today.isoformat(), end.isoformat())))  # type: ignore[no-any-return]
    if operator == Operator.CONTAINS:
        return column.contains(value, autoescape=True)  # type: ignore[no-any-return]
    if operator == Operator.BEFORE:
        return column < value  # type: ignore[no-any-return]
    return column > value if operator == Operator.AFTER else column.in_(list(map(fold_case, values)))  # type: ignore[no-any-return]


def _not_reached_by(send_id: int) -> AccountIds:
    """Neither was the email handed to the mail server nor the text delivered, and neither can be any more.

    The search begins with the failed emails of the send, which are few.
    """
    email, text, communication = aliased(Delivery), aliased(Delivery), aliased(Communication)
    may_have_arrived = select(text.id).where(
        text.communication_id == email.communication_id,
        text.channel == "sms",
        text.state.in_((DeliveryState.DELIVERED, *OPEN)),
    )
    query = (
        select(communication.account_id)
        .join(email, email.communication_id == communication.id)
        .where(communication.send_id == send_id, email.send_id == send_id)
        .where(email.channel == "email", email.state.in_(_FAILED))
        .where(not_(may_have_arrived.correlate(email).exists()))
    )
    return communication.account_id, query
