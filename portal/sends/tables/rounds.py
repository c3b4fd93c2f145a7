"""Whom a send did not reach, or who has not opened it: the audience of the next round."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import aliased, selectinload

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.keyset import Keyset, Slice
from portal.core.rules.delivery_status import UNSENT, DeliveryState
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.delivery_totals import totals
from portal.sends.tables.sends import Send

_NO_EMAIL = tuple(state for state in DeliveryState if state.final and state is not DeliveryState.HANDED_OFF)
_NO_TEXT = tuple(state for state in DeliveryState if state.final and state is not DeliveryState.DELIVERED)
_BATCH_SIZE, _ROUNDS_AT_ONCE = 500, 20
_Ids = Select[Any] | list[int]


class RoundOutcome(StrEnum):
    """Of whom of the earlier send the round consists."""

    UNREACHED = "unreached"
    UNOPENED = "unopened"


def is_member(send_id: int, outcome: str, until_ms: int) -> ColumnElement[bool]:
    """Whether the outcome for an account was so at `until_ms`; later events add nobody.

    It asks about one account, since SQLite would collect all members again for each chunk of the fan-out.
    """
    members_of_account = _members(select(Communication.id).correlate(Account), send_id, outcome, until_ms)
    return members_of_account.where(Communication.account_id == Account.id).exists()


def _members(query: Select[Any], send_id: int, outcome: str, until_ms: int, may_wait: bool = True) -> Select[Any]:
    """Narrow a query of communications to those of the send with this outcome, and the same in its earlier rounds."""
    # A round is not earlier than itself.
    earlier = [row.id for row in rounds_of(send_id) if row.created_at_ms < until_ms]
    of_send = _with_outcome(query, [send_id], outcome, until_ms, may_wait)
    if not earlier:
        return of_send
    asked_again = aliased(Communication)
    same_outcome = _with_outcome(select(Communication.id).correlate(asked_again), earlier, outcome, until_ms)
    other_outcome = select(asked_again.id).where(
        asked_again.send_id.in_(earlier),
        asked_again.account_id == Communication.account_id,
        ~same_outcome.where(Communication.id == asked_again.id).exists(),
    )
    other_outcome = other_outcome.correlate(Communication)
    return of_send.where(~other_outcome.exists())


def count_members(send_id: int, outcome: str, until_ms: int) -> int:
    """Without accounts that are no longer active. Deliveries are not read if the totals say that none waits."""
    query = select(func.count(Communication.id)).join(Account, Account.id == Communication.account_id)
    query = query.where(Account.active == True)  # noqa: E712  SQL, not Python
    may_wait = bool(totals((), send_ids=[send_id], states=UNSENT))
    return db.session.scalar(_members(query, send_id, outcome, until_ms, may_wait)) or 0


def unreached_page(send_id: int, until_ms: int, keyset: Keyset) -> Slice[Communication]:
    """Communications that reached nobody, nor did an earlier round, with their accounts and deliveries."""
    return keyset.fetch(_with_details(_unreached_ids(send_id, until_ms)))


def unreached_after(send_id: int, until_ms: int, after_id: int) -> Sequence[Communication]:
    """The next of them by id, for an export."""
    ids = _unreached_ids(send_id, until_ms).where(Communication.id > after_id)
    next_ids = list(db.session.scalars(ids.order_by(Communication.id).limit(_BATCH_SIZE)))
    return db.session.scalars(_with_details(next_ids).order_by(Communication.id)).all()


def _unreached_ids(send_id: int, until_ms: int) -> Select[Any]:
    return _members(select(Communication.id), send_id, RoundOutcome.UNREACHED, until_ms)


def _with_details(ids: _Ids) -> Select[Any]:
    details = selectinload(Communication.deliveries), selectinload(Communication.account)
    return select(Communication).options(*details).where(Communication.id.in_(ids))


def _with_outcome(
    query: Select[Any], send_ids: _Ids, outcome: str, until_ms: int, may_wait: bool = True
) -> Select[Any]:
    """Narrow a query of communications to those of the sends with this outcome.

    `may_wait` is false if no message of the sends has still to leave.
    """
    if outcome == RoundOutcome.UNREACHED:
        return _unreached(query, send_ids, until_ms)
    is_unopened = or_(Communication.opened_at_ms.is_(None), Communication.opened_at_ms > until_ms)
    query = query.where(Communication.send_id.in_(send_ids), is_unopened)
    unsent = select(Delivery.id).where(Delivery.communication_id == Communication.id, Delivery.state.in_(UNSENT))
    return query.where(~unsent.exists()) if may_wait else query


def _unreached(query: Select[Any], send_ids: _Ids, until_ms: int) -> Select[Any]:
    """Neither an accepted email nor a delivered text. While one of them can still arrive, the person does not count."""
    email, text = aliased(Delivery), aliased(Delivery)
    is_text = and_(text.communication_id == Communication.id, text.channel == "sms")
    return (
        query.join(email, email.communication_id == Communication.id)
        .outerjoin(text, is_text)
        .where(Communication.send_id.in_(send_ids), email.send_id.in_(send_ids), email.channel == "email")
        .where(_ended(email, _NO_EMAIL, until_ms), or_(text.id.is_(None), _ended(text, _NO_TEXT, until_ms)))
    )


def _ended(delivery: Any, states: tuple[DeliveryState, ...], until_ms: int) -> ColumnElement[bool]:
    return and_(delivery.state.in_(states), delivery.state_changed_at_ms <= until_ms)


def rounds_of(send_id: int) -> list[Send]:
    """The sends that were made to whoever this one did not reach, oldest first.

    Their numbers have no gaps, so each key is looked up: LIKE with a prefix would read all sends.
    """
    found: list[Send] = []
    while rows := _next_rounds(send_id, len(found)):
        found += rows
    return found


def _next_rounds(send_id: int, made: int) -> Sequence[Send]:
    keys = [round_key(send_id, number) for number in range(made + 1, made + 1 + _ROUNDS_AT_ONCE)]
    return db.session.scalars(select(Send).where(Send.request_key.in_(keys)).order_by(Send.id)).all()


def round_key(send_id: int, number: int) -> str:
    """The request key of a round, which makes it unique."""
    return f"round:{send_id}:{number}"
