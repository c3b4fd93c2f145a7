"""Whom a send did not reach, or who has not opened it: the audience of the next round."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import aliased, selectinload

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.keyset import Keyset, Slice
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.tables.sends import Send

_NO_EMAIL = tuple(state for state in DeliveryState if state.final and state is not DeliveryState.HANDED_OFF)
_NO_TEXT = tuple(state for state in DeliveryState if state.final and state is not DeliveryState.DELIVERED)
_BATCH_SIZE = 500


class RoundOutcome(StrEnum):
    """Of whom of the earlier send the round consists."""

    UNREACHED = "unreached"
    UNOPENED = "unopened"


def members(send_id: int, outcome: str, until_ms: int) -> Select[Any]:
    """The account ids for whom the outcome was so at `until_ms`. Later events do not change them."""
    if outcome == RoundOutcome.UNREACHED:
        return _unreached(select(Communication.account_id), send_id, until_ms)
    is_unread = or_(Communication.read_at_ms.is_(None), Communication.read_at_ms > until_ms)
    return select(Communication.account_id).where(Communication.send_id == send_id, is_unread)


def count_members(send_id: int, outcome: str, until_ms: int) -> int:
    """Without accounts that are no longer active."""
    query = select(func.count(Account.id)).where(Account.active == True)  # noqa: E712  SQL, not Python
    return db.session.scalar(query.where(Account.id.in_(members(send_id, outcome, until_ms)))) or 0


def unreached_page(send_id: int, until_ms: int, keyset: Keyset) -> Slice[Communication]:
    """Communications that reached nobody, with their accounts and deliveries."""
    return keyset.fetch(_with_details(send_id, until_ms))


def unreached_after(send_id: int, until_ms: int, after_id: int) -> Sequence[Communication]:
    """The next of them by id, for an export."""
    query = _with_details(send_id, until_ms).where(Communication.id > after_id)
    return db.session.scalars(query.order_by(Communication.id).limit(_BATCH_SIZE)).all()


def _with_details(send_id: int, until_ms: int) -> Select[Any]:
    details = selectinload(Communication.deliveries), selectinload(Communication.account)
    return (
        select(Communication)
        .options(*details)
        .where(Communication.id.in_(_unreached(select(Communication.id), send_id, until_ms)))
    )


def _unreached(query: Select[Any], send_id: int, until_ms: int) -> Select[Any]:
    """Neither an accepted email nor a delivered text. While one of them can still arrive, the person does not count."""
    email, text = aliased(Delivery), aliased(Delivery)
    is_text = and_(text.communication_id == Communication.id, text.channel == "sms")
    return (
        query.join(email, email.communication_id == Communication.id)
        .outerjoin(text, is_text)
        .where(Communication.send_id == send_id, email.send_id == send_id, email.channel == "email")
        .where(_ended(email, _NO_EMAIL, until_ms), or_(text.id.is_(None), _ended(text, _NO_TEXT, until_ms)))
    )


def _ended(delivery: Any, states: tuple[DeliveryState, ...], until_ms: int) -> ColumnElement[bool]:
    return and_(delivery.state.in_(states), delivery.state_changed_at_ms <= until_ms)


def rounds_of(send_id: int) -> list[Send]:
    """The sends that were made to whoever this one did not reach, oldest first."""
    query = select(Send).where(Send.request_key.startswith(round_key(send_id), autoescape=True))
    return list(db.session.scalars(query.order_by(Send.id)))


def round_key(send_id: int, outcome: str = "", number: int | None = None) -> str:
    """The request key of a round, which makes it unique; without a number, what the keys of all rounds begin with."""
    return f"round:{send_id}:" + (f"{outcome}:{number}" if number is not None else f"{outcome}:" if outcome else "")
