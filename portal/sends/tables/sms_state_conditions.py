"""Accounts by what `core.rules.routing` decides about their texts, as sets that are read from indexes."""

from collections.abc import Callable

from sqlalchemy import ColumnElement, Select, and_, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.sends.rules.audience_conditions import GETS_TEXTS


def has_sms_state(state: str) -> ColumnElement[bool]:
    """Whether an account is in one of `sends.rules.audience_conditions.SMS_STATES`."""
    return _SMS_STATES[state]()


def is_outside(column: InstrumentedAttribute[int], query: Select[int]) -> ColumnElement[bool]:
    """`Account.id NOT IN (query)`, whose only column is `column`.

    PostgreSQL would search a long list once for each account; SQLite would run a subquery once for each.
    """
    if db.session.get_bind().dialect.name == "sqlite":
        return Account.id.not_in(query)
    return not_(query.where(column == Account.id).correlate(Account).exists())


def _gets_texts() -> ColumnElement[bool]:
    """A number is enabled and not blocked."""
    phones, blocked = aliased(PhoneNumber), aliased(PhoneState)
    is_blocked = or_(blocked.stopped_at_ms.is_not(None), blocked.unreachable_at_ms.is_not(None))
    is_usable = phones.number.not_in(select(blocked.number).where(is_blocked))
    return Account.id.in_(select(phones.account_id).where(phones.receives_sms == True, is_usable))  # noqa: E712


def _has_number() -> ColumnElement[bool]:
    return Account.id.in_(select(aliased(PhoneNumber).account_id))


def _has_no_number() -> ColumnElement[bool]:
    phones = aliased(PhoneNumber)
    return is_outside(phones.account_id, select(phones.account_id))


def _has_no_enabled_number() -> ColumnElement[bool]:
    phones = aliased(PhoneNumber)
    return is_outside(phones.account_id, select(phones.account_id).where(phones.receives_sms == True))  # noqa: E712


def _is_stopped() -> ColumnElement[bool]:
    """With several numbers, the first enabled one decides; without an enabled one, any of them."""
    return or_(
        and_(_has_no_enabled_number(), _has_a_stopped_number()),
        and_(_is_first_enabled_number_stopped(), not_(_gets_texts())),
    )


def _is_unreachable() -> ColumnElement[bool]:
    return and_(
        _has_number(), not_(_has_no_enabled_number()), not_(_gets_texts()), not_(_is_first_enabled_number_stopped())
    )


def _receives_elsewhere() -> ColumnElement[bool]:
    return and_(_has_no_enabled_number(), not_(_has_a_stopped_number()), _has_a_number_enabled_elsewhere())


def _is_not_opted_in() -> ColumnElement[bool]:
    return and_(
        _has_number(),
        _has_no_enabled_number(),
        not_(_has_a_stopped_number()),
        not_(_has_a_number_enabled_elsewhere()),
    )


def _has_a_stopped_number() -> ColumnElement[bool]:
    phones, states = aliased(PhoneNumber), aliased(PhoneState)
    stopped = select(phones.account_id).join(states, states.number == phones.number)
    return Account.id.in_(stopped.where(states.stopped_at_ms.is_not(None)))


def _is_first_enabled_number_stopped() -> ColumnElement[bool]:
    phones, states, earlier = aliased(PhoneNumber), aliased(PhoneState), aliased(PhoneNumber)
    has_earlier = select(earlier.id).where(
        earlier.account_id == phones.account_id,
        earlier.receives_sms == True,  # noqa: E712
        earlier.id < phones.id,
    )
    stopped = (
        select(phones.account_id)
        .join(states, states.number == phones.number)
        .where(states.stopped_at_ms.is_not(None), phones.receives_sms == True)  # noqa: E712
        .where(not_(has_earlier.correlate(phones).exists()))
    )
    return Account.id.in_(stopped)


def _has_a_number_enabled_elsewhere() -> ColumnElement[bool]:
    phones, others = aliased(PhoneNumber), aliased(PhoneNumber)
    elsewhere = select(phones.account_id).join(others, others.number == phones.number)
    is_enabled_there = and_(others.receives_sms == True, others.account_id != phones.account_id)  # noqa: E712
    return Account.id.in_(elsewhere.where(is_enabled_there))


_SMS_STATES: dict[str, Callable[[], ColumnElement[bool]]] = {
    GETS_TEXTS: _gets_texts,
    Reason.NO_NUMBER: _has_no_number,
    Reason.NOT_OPTED_IN: _is_not_opted_in,
    Reason.STOPPED: _is_stopped,
    Reason.UNREACHABLE: _is_unreachable,
    Reason.OTHER_ACCOUNT_RECEIVES: _receives_elsewhere,
}
