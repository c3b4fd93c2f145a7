"""Accounts by what `core.rules.routing` decides about their texts: for each state, the set of their ids.

A set begins with the few phone numbers that can put an account into it, and looks at the account's others from there.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, not_, or_, select
from sqlalchemy.orm import aliased

from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.core.extensions import db
from portal.core.rules.routing import Reason
from portal.sends.rules.audience_conditions import GETS_TEXTS

AccountIds = tuple[Any, Select[int]]
"""A query whose only column is the id of an account, and that column."""


def accounts_with_number() -> AccountIds:
    phones = aliased(PhoneNumber)
    return phones.account_id, select(phones.account_id)


def accounts_in_sms_state(state: str) -> AccountIds:
    """`state` is one of `sends.rules.audience_conditions.SMS_STATES`, except for having no number."""
    return _SETS[state]()


def _get_texts() -> AccountIds:
    """A number is enabled and not blocked."""
    phones, states = aliased(PhoneNumber), aliased(PhoneState)
    is_usable = phones.number.not_in(select(states.number).where(_is_blocked(states)))
    return phones.account_id, select(phones.account_id).where(_receives_sms(phones), is_usable)


def _are_stopped() -> AccountIds:
    """With several enabled numbers, the first decides; without an enabled one, any of them."""
    phones, states = aliased(PhoneNumber), aliased(PhoneState)
    query = (
        select(phones.account_id)
        .where(_without_index(phones.number).in_(select(states.number).where(states.stopped_at_ms.is_not(None))))
        .where(or_(_is_first_enabled(phones), not_(_has_enabled_number(phones))))
        .where(not_(_has_usable_number(phones)))
    )
    return phones.account_id, query


def _are_unreachable() -> AccountIds:
    """The first enabled number, and none is usable."""
    phones, states = aliased(PhoneNumber), aliased(PhoneState)
    unreachable = states.unreachable_at_ms.is_not(None), states.stopped_at_ms.is_(None)
    query = (
        select(phones.account_id)
        .where(_without_index(phones.number).in_(select(states.number).where(*unreachable)))
        .where(_is_first_enabled(phones), not_(_has_usable_number(phones)))
    )
    return phones.account_id, query


def _receive_elsewhere() -> AccountIds:
    phones = aliased(PhoneNumber)
    query = select(phones.account_id).where(
        _is_enabled_elsewhere(phones), not_(_has_enabled_number(phones)), not_(_has_stopped_number(phones))
    )
    return phones.account_id, query


def _are_not_opted_in() -> AccountIds:
    phones, own = aliased(PhoneNumber), aliased(PhoneNumber)
    elsewhere = select(own.id).where(own.account_id == phones.account_id, _is_enabled_elsewhere(own))
    query = select(phones.account_id).where(
        not_(_receives_sms(phones)),
        not_(_has_enabled_number(phones)),
        not_(_has_stopped_number(phones)),
        not_(elsewhere.correlate(phones).exists()),
    )
    return phones.account_id, query


_SETS: dict[str, Callable[[], AccountIds]] = {
    GETS_TEXTS: _get_texts,
    Reason.NOT_OPTED_IN: _are_not_opted_in,
    Reason.STOPPED: _are_stopped,
    Reason.UNREACHABLE: _are_unreachable,
    Reason.OTHER_ACCOUNT_RECEIVES: _receive_elsewhere,
}


def _has_enabled_number(phones: Any) -> ColumnElement[bool]:
    own = aliased(PhoneNumber)
    query = select(own.id).where(own.account_id == phones.account_id, _receives_sms(own))
    return query.correlate(phones).exists()


def _is_first_enabled(phones: Any) -> ColumnElement[bool]:
    own = aliased(PhoneNumber)
    earlier = select(own.id).where(own.account_id == phones.account_id, _receives_sms(own), own.id < phones.id)
    return and_(_receives_sms(phones), not_(earlier.correlate(phones).exists()))


def _has_usable_number(phones: Any) -> ColumnElement[bool]:
    own, states = aliased(PhoneNumber), aliased(PhoneState)
    blocked = select(states.number).where(states.number == own.number, _is_blocked(states)).correlate(own).exists()
    query = select(own.id).where(own.account_id == phones.account_id, _receives_sms(own), not_(blocked))
    return query.correlate(phones).exists()


def _has_stopped_number(phones: Any) -> ColumnElement[bool]:
    own, states = aliased(PhoneNumber), aliased(PhoneState)
    query = select(own.id).join(states, states.number == own.number)
    is_stopped = and_(own.account_id == phones.account_id, states.stopped_at_ms.is_not(None))
    return query.where(is_stopped).correlate(phones).exists()


def _is_enabled_elsewhere(phones: Any) -> ColumnElement[bool]:
    """Only one account receives the texts of a number: if it is another, this one does not."""
    others = aliased(PhoneNumber)
    query = select(others.id).where(others.number == phones.number, _receives_sms(others))
    return and_(not_(_receives_sms(phones)), query.correlate(phones).exists())


def _without_index(number: Any) -> ColumnElement[str]:
    """With it, SQLite would search each account for each stopped number."""
    return number + "" if db.session.get_bind().dialect.name == "sqlite" else number  # type: ignore[no-any-return]


def _is_blocked(states: Any) -> ColumnElement[bool]:
    return or_(states.stopped_at_ms.is_not(None), states.unreachable_at_ms.is_not(None))


def _receives_sms(phones: Any) -> ColumnElement[bool]:
    return phones.receives_sms == True  # type: ignore[no-any-return]  # noqa: E712  SQL, not Python
