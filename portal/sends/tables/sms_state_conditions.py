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
    """A query whose only column is the id of an account, that column, and what is subtracted from it.

    Of `few` accounts it takes less time to look each up than to read all accounts beside them.
    """

    column: Any
    query: Select[int]
    without: tuple["AccountIds", ...] = ()
    few: bool = False


def accounts_with_number() -> AccountIds:
    phones = aliased(PhoneNumber)
    return AccountIds(phones.account_id, select(phones.account_id))


def accounts_in_sms_state(state: str, one_by_one: bool) -> AccountIds:
    """`state` is one of `sends.rules.audience_conditions.SMS_STATES`; `one_by_one` as for `matches_conditions`."""
    return _SETS[state](one_by_one)


def _have_no_number(_one_by_one: bool) -> AccountIds:
    accounts, phones = aliased(Account), aliased(PhoneNumber)
    own = select(phones.id).where(phones.account_id == accounts.id).correlate(accounts)
    return AccountIds(accounts.id, select(accounts.id).where(not_(own.exists())))


def _get_texts(_one_by_one: bool) -> AccountIds:
    """A number is enabled and not blocked."""
    phones = aliased(PhoneNumber)
    return AccountIds(phones.account_id, select(phones.account_id).where(_is_usable(phones)))


def _are_stopped(one_by_one: bool) -> AccountIds:
    """With several enabled numbers, the first decides; without an enabled one, any of them."""
    phones = aliased(PhoneNumber)
    is_decisive = or_(_is_first_enabled(phones), not_(_has_enabled_number(phones)))
    query = select(phones.account_id).where(_is_stopped(phones, one_by_one), is_decisive)
    return AccountIds(phones.account_id, query.where(not_(_has_usable_number(phones))), few=True)


def _are_unreachable(one_by_one: bool) -> AccountIds:
    """The first enabled number, and none is usable."""
    phones = aliased(PhoneNumber)
    is_blocked = _is_unreachable(phones, one_by_one), not_(_is_stopped(phones, one_by_one=True))
    query = select(phones.account_id).where(*is_blocked, _is_first_enabled(phones))
    return AccountIds(phones.account_id, query.where(not_(_has_usable_number(phones))), few=True)


def _receive_elsewhere(one_by_one: bool) -> AccountIds:
    return replace(_with_number_elsewhere(), without=(_with_enabled_number(), _with_stopped_number(one_by_one)))


def _are_not_opted_in(one_by_one: bool) -> AccountIds:
    others = _with_enabled_number(), _with_stopped_number(one_by_one), _with_number_elsewhere()
    phones = aliased(PhoneNumber)
    return AccountIds(phones.account_id, select(phones.account_id).where(_receives_no_sms(phones)), others)


_SETS: dict[str, Callable[[bool], AccountIds]] = {
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
    own = aliased(PhoneNumber)
    query = select(own.id).where(own.account_id == phones.account_id, _is_usable(own)).correlate(phones)
    # The offset keeps PostgreSQL from reading all usable numbers for the sake of a few accounts.
    return query.offset(literal_column("0")).exists()


def _with_enabled_number() -> AccountIds:
    phones = aliased(PhoneNumber)
    return AccountIds(phones.account_id, select(phones.account_id).where(_receives_sms(phones)))


def _with_stopped_number(one_by_one: bool) -> AccountIds:
    phones = aliased(PhoneNumber)
    return AccountIds(phones.account_id, select(phones.account_id).where(_is_stopped(phones, one_by_one)))


def _with_number_elsewhere() -> AccountIds:
    """Only one account receives the texts of a number: if it is another, this one does not."""
    phones, others = aliased(PhoneNumber), aliased(PhoneNumber)
    query = select(phones.account_id).join(others, others.number == phones.number)
    return AccountIds(phones.account_id, query.where(_receives_no_sms(phones), _receives_sms(others)))


def _is_usable(phones: Any) -> ColumnElement[bool]:
    """Enabled and not blocked."""
    blocked = union_all(_stopped_numbers(), _unreachable_numbers())
    return and_(_receives_sms(phones), phones.number.not_in(blocked))


def _is_stopped(phones: Any, one_by_one: bool) -> ColumnElement[bool]:
    return _is_one_of(_stopped_numbers(), phones, one_by_one)


def _is_unreachable(phones: Any, one_by_one: bool) -> ColumnElement[bool]:
    return _is_one_of(_unreachable_numbers(), phones, one_by_one)


def _is_one_of(numbers: Select[str], phones: Any, one_by_one: bool) -> ColumnElement[bool]:
    """SQLite begins with the numbers of an IN, but looks an EXISTS up for each phone. PostgreSQL plans both alike."""
    if not one_by_one:
        return phones.number.in_(numbers)  # type: ignore[no-any-return]
    return numbers.where(numbers.selected_columns[0] == phones.number).correlate(phones).exists()


def _stopped_numbers() -> Select[str]:
    states = aliased(PhoneState)
    return select(states.number).where(states.stopped_at_ms.is_not(None))


def _unreachable_numbers() -> Select[str]:
    states = aliased(PhoneState)
    return select(states.number).where(states.unreachable_at_ms.is_not(None))


def _receives_sms(phones: Any) -> ColumnElement[bool]:
    """Written so that the databases see that an index of enabled numbers holds all that are asked for."""
    return phones.receives_sms == literal_column("1")  # type: ignore[no-any-return]


def _receives_no_sms(phones: Any) -> ColumnElement[bool]:
    return phones.receives_sms == literal_column("0")  # type: ignore[no-any-return]
