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
from portal.sends.tables.sends import Send

_NO_EMAIL = tuple(state for state in DeliveryState if state.final and state is not DeliveryState.HANDED_OFF)
_NO_TEXT = tuple(state for state in DeliveryState if state.final and state is not DeliveryState.DELIVERED)
_BATCH_SIZE = 500
_Ids = Select[Any] | list[int]


class RoundOutcome(StrEnum):
    """Of whom of the earlier send the round consists."""

    UNREACHED = "unreached"
    UNOPENED = "unopened"


def members(send_id: int, outcome: str, until_ms: int) -> Select[Any]:
    """The account ids for whom the outcome was so at `until_ms`. Later events do not add anybody."""
    return _members(select(Communication.account_id), send_id, outcome, until_ms)


def is_member(send_id: int, outcome: str, until_ms: int) -> ColumnElement[bool]:
    """The same about one account, which SQLite does not answer by collecting all of them for each chunk."""
    members_of_account = _members(select(Communication.id).correlate(Account), send_id, outcome, until_ms)
    return members_of_account.where(Communication.account_id == Account.id).exists()


def _members(query: Select[Any], send_id: int, outcome: str, until_ms: int) -> Select[Any]:
    """Narrow a query of communications to those of the send with this outcome, and the same in its earlier rounds."""
    # LIKE with a prefix, on a table with one row a send. A round is not earlier than itself.
    is_round = Send.request_key.startswith(round_key(send_id), autoescape=True)
    rounds = select(Send.id).where(is_round, Send.created_at_ms < until_ms)
    asked_again = aliased(Communication)
    same_outcome = _with_outcome(select(Communication.id).correlate(asked_again), rounds, outcome, until_ms)
    other_outcome = select(asked_again.id).where(
        asked_again.send_id.in_(rounds),
        asked_again.account_id == Communication.account_id,
        ~same_outcome.where(Communication.id == asked_again.id).exists(),
    )
    other_outcome = other_outcome.correlate(Communication)
    return _with_outcome(query, [send_id], outcome, until_ms).where(~other_outcome.exists())


def count_members(send_id: int, outcome: str, until_ms: int) -> int:
    """Without accounts that are no longer active."""
    query = select(func.count(Account.id)).where(Account.active == True)  # noqa: E712  SQL, not Python
    return db.session.scalar(query.where(Account.id.in_(members(send_id, outcome, until_ms)))) or 0


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


def _with_outcome(query: Select[Any], send_ids: _Ids, outcome: str, until_ms: int) -> Select[Any]:
    """Narrow a query of communications to those of the sends with this outcome."""
    if outcome == RoundOutcome.UNREACHED:
        return _unreached(query, send_ids, until_ms)
    is_unopened = or_(Communication.opened_at_ms.is_(None), Communication.opened_at_ms > until_ms)
    unsent = select(Delivery.id).where(Delivery.communication_id == Communication.id, Delivery.state.in_(UNSENT))
    return query.where(Communication.send_id.in_(send_ids), is_unopened, ~unsent.exists())


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
    """The sends that were made to whoever this one did not reach, oldest first."""
    query = select(Send).where(Send.request_key.startswith(round_key(send_id), autoescape=True))
    return list(db.session.scalars(query.order_by(Send.id)))


def round_key(send_id: int, number: int | None = None) -> str:
    """The request key of a round, which makes it unique; without a number, what the keys of all rounds begin with."""
    return f"round:{send_id}:" + ("" if number is None else str(number))
