"""Accounts by what `core.rules.routing` decides about their texts: for each state, the set of their ids.

The rarer sets begin with the few phone numbers that can put an account into them, and look at its others from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, literal_column, not_, or_, select, union_all
from sqlalchemy.orm import aliased

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.core.rules.routing import Reason
from portal.sends.rules.audience_conditions import GETS_TEXTS


@dataclass(frozen=True)
class AccountIds:
    """A query whose only column is the id of an account, that column, and what is subtracted from it."""

    column: Any
    query: Select[int]
    without: tuple["AccountIds", ...] = ()


def accounts_with_number() -> AccountIds:
    phones = aliased(PhoneNumber)
    return AccountIds(phones.account_id, select(phones.account_id))


def accounts_in_sms_state(state: str) -> AccountIds:
    """`state` is one of `sends.rules.audience_conditions.SMS_STATES`."""
    return _SETS[state]()


def _have_no_number() -> AccountIds:
    accounts, phones = aliased(Account), aliased(PhoneNumber)
    own = select(phones.id).where(phones.account_id == accounts.id).correlate(accounts)
    return AccountIds(accounts.id, select(accounts.id).where(not_(own.exists())))


def _get_texts() -> AccountIds:
    """A number is enabled and not blocked."""
    phones, stopped, unreachable = aliased(PhoneNumber), aliased(PhoneState), aliased(PhoneState)
    blocked = union_all(
        select(stopped.number).where(stopped.stopped_at_ms.is_not(None)),
        select(unreachable.number).where(unreachable.unreachable_at_ms.is_not(None)),
    )
    is_usable = phones.number.not_in(blocked)
    return AccountIds(phones.account_id, select(phones.account_id).where(_receives_sms(phones), is_usable))


def _are_stopped() -> AccountIds:
    """With several enabled numbers, the first decides; without an enabled one, any of them."""
    phones, states = aliased(PhoneNumber), aliased(PhoneState)
    query = (
        select(phones.account_id)
        .join(states, states.number == phones.number)
        .where(states.stopped_at_ms.is_not(None))
        .where(or_(_is_first_enabled(phones), not_(_has_enabled_number(phones))))
        .where(not_(_has_usable_number(phones)))
    )
    return AccountIds(phones.account_id, query)


def _are_unreachable() -> AccountIds:
    """The first enabled number, and none is usable."""
    phones, states = aliased(PhoneNumber), aliased(PhoneState)
    query = (
        select(phones.account_id)
        .join(states, states.number == phones.number)
        .where(states.unreachable_at_ms.is_not(None), states.stopped_at_ms.is_(None))
        .where(_is_first_enabled(phones), not_(_has_usable_number(phones)))
    )
    return AccountIds(phones.account_id, query)


def _receive_elsewhere() -> AccountIds:
    return replace(_with_number_elsewhere(), without=(_with_enabled_number(), _with_stopped_number()))


def _are_not_opted_in() -> AccountIds:
    others = _with_enabled_number(), _with_stopped_number(), _with_number_elsewhere()
    return replace(accounts_with_number(), without=others)


_SETS: dict[str, Callable[[], AccountIds]] = {
    GETS_TEXTS: _get_texts,
    Reason.NO_NUMBER: _have_no_number,
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
    # Written so that SQLite begins with the few blocked numbers, and not with all enabled ones.
    is_enabled = phones.receives_sms != literal_column("0")
    return and_(is_enabled, not_(earlier.correlate(phones).exists()))


def _has_usable_number(phones: Any) -> ColumnElement[bool]:
    own, states = aliased(PhoneNumber), aliased(PhoneState)
    blocked = select(states.number).where(states.number == own.number, _is_blocked(states)).correlate(own).exists()
    query = select(own.id).where(own.account_id == phones.account_id, _receives_sms(own), not_(blocked))
    return query.correlate(phones).exists()


def _with_enabled_number() -> AccountIds:
    phones = aliased(PhoneNumber)
    return AccountIds(phones.account_id, select(phones.account_id).where(_receives_sms(phones)))


def _with_stopped_number() -> AccountIds:
    phones, states = aliased(PhoneNumber), aliased(PhoneState)
    query = select(phones.account_id).join(states, states.number == phones.number)
    return AccountIds(phones.account_id, query.where(states.stopped_at_ms.is_not(None)))


def _with_number_elsewhere() -> AccountIds:
    """Only one account receives the texts of a number: if it is another, this one does not."""
    phones, others = aliased(PhoneNumber), aliased(PhoneNumber)
    query = select(phones.account_id).join(others, others.number == phones.number)
    return AccountIds(phones.account_id, query.where(not_(_receives_sms(phones)), _receives_sms(others)))


def _is_blocked(states: Any) -> ColumnElement[bool]:
    return or_(states.stopped_at_ms.is_not(None), states.unreachable_at_ms.is_not(None))


def _receives_sms(phones: Any) -> ColumnElement[bool]:
    """Written so that the databases see that an index of enabled numbers holds all that are asked for."""
    return phones.receives_sms == literal_column("1")  # type: ignore[no-any-return]
