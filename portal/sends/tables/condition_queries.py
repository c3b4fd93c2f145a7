"""The conditions of an audience in SQL: for one account of the query around it, and for all accounts at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, select
from sqlalchemy.orm import aliased
from sqlalchemy.sql.expression import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue, all_attributes
from portal.content.tables.topics import TopicOptOut, all_topics
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
    names = {str(topic.id): topic.name for topic in all_topics()}
    topics = [rules.topic_field(names)] if names else []
    return {field.name: field for field in (*rules.OWN_FIELDS, *topics, *attributes)}


def matches_conditions(audience: Mapping[str, Any], one_by_one: bool) -> ColumnElement[bool]:
    """Whether an account is in an audience of conditions. Nobody is, if a condition cannot be understood.

    `one_by_one` is for SQLite, which either collects all accounts that meet a condition, or looks at each in turn;
    the latter takes long for many accounts, but little for the next few. PostgreSQL chooses by itself.
    """
    contains = _contains_account if one_by_one or not is_sqlite() else _contains_id
    clauses = [_clause(condition, contains) for condition in read_conditions(audience, one_by_one)]
    if not clauses:
        return false()
    return and_(*clauses) if audience["match"] == "all" else or_(*clauses)


@dataclass(frozen=True)
class AccountCondition:
    """True for the accounts in any of `sets`, or without sets for those whose own columns are so.

    If it is `negated`, it is true for all others.
    """

    negated: bool
    sets: tuple[AccountIds, ...] = ()
    columns: ColumnElement[bool] = field(default_factory=false)


def read_conditions(audience: Mapping[str, Any], one_by_one: bool = False) -> list[AccountCondition]:
    """None, if one of them cannot be understood."""
    fields = condition_fields()
    today = rules.parse_day(str(audience.get("as_of", "")))
    if today is None or rules.conditions_problem(audience, fields):
        return []
    return [_read_condition(row, fields[row["field"]], today, one_by_one) for row in audience["conditions"]]


def is_sqlite() -> bool:
    return db.session.get_bind().dialect.name == "sqlite"


def _contains_id(accounts: AccountIds) -> ColumnElement[bool]:
    return and_(Account.id.in_(accounts.query), *(not_(_contains_id(other)) for other in accounts.without))


def _contains_account(accounts: AccountIds) -> ColumnElement[bool]:
    is_in = accounts.query.where(accounts.column == Account.id).correlate(Account).exists()
    return and_(is_in, *(not_(_contains_account(other)) for other in accounts.without))


def _clause(condition: AccountCondition, contains: _Contains) -> ColumnElement[bool]:
    is_true = or_(*map(contains, condition.sets)) if condition.sets else condition.columns
    return not_(is_true) if condition.negated else is_true


def _read_condition(
    condition: Mapping[str, Any], asked: ConditionField, today: date, one_by_one: bool
) -> AccountCondition:
    """“Is not” is also true without a value."""
    operator, values = rules.OPERATORS_BY_VALUE[condition["operator"]], rules.condition_values(condition)
    negated = operator in (Operator.IS_NOT, Operator.NOT_SET)
    if asked.kind == FieldKind.COLUMN:
        return AccountCondition(negated, columns=getattr(Account, asked.name).in_(values))
    if asked.kind == FieldKind.SMS_STATE:
        return _with_sms_states(values, negated, one_by_one)
    if asked.kind == FieldKind.SEND:
        return AccountCondition(negated, (_not_reached_by(int(values[0])),))
    if asked.kind == FieldKind.TOPIC:
        return AccountCondition(operator == Operator.TEXTS_ON, (_without_topic(int(values[0])),))
    return AccountCondition(negated, (_with_value(asked, operator, values, today),))


def _with_sms_states(states: list[str], negated: bool, one_by_one: bool) -> AccountCondition:
    if states == [Reason.NO_NUMBER]:
        return AccountCondition(not negated, (accounts_with_number(),))
    return AccountCondition(negated, tuple(accounts_in_sms_state(state, one_by_one) for state in states))


def _without_topic(topic_id: int) -> AccountIds:
    rows = aliased(TopicOptOut)
    return AccountIds(rows.account_id, select(rows.account_id).where(rows.topic_id == topic_id))


def _with_value(field: ConditionField, operator: Operator, values: list[str], today: date) -> AccountIds:
    """The accounts for which the comparison is true, or would be without its “not”."""
    rows = aliased(AttributeValue)
    query = select(rows.account_id).where(rows.attribute_id == field.attribute_id)
    if operator in (Operator.IS_SET, Operator.NOT_SET):
        return AccountIds(rows.account_id, query)
    if field.kind == FieldKind.NUMBER:
        query = query.where(_compare_number(_in_account_order(rows.number), operator, values[0]))
    else:
        query = query.where(_compare_text(_in_account_order(rows.comparable), operator, values, today))
    return AccountIds(rows.account_id, query)


def _in_account_order(column: Any) -> Any:
    """Have SQLite read the values by account, instead of by value from another index and then sort the accounts."""
    return UnaryExpression(column, operator=custom_op("+")) if is_sqlite() else column


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
    return AccountIds(communication.account_id, query)
