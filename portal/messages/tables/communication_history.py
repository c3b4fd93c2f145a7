"""Communications as people read them, page by page."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import selectinload
from sqlalchemy.sql.base import ExecutableOption

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import TextKind
from portal.messages.tables.communications import Communication, Delivery

_RECENT_COUNT = 30


def with_their_deliveries() -> ExecutableOption:
    """With the attempts, which record the mode in which a text was sent."""
    return selectinload(Communication.deliveries).selectinload(Delivery.attempt_history)


def account_page(account_id: int, before: int | None, limit: int, with_sms: bool) -> list[Communication]:
    """Newest first. Without `with_sms`, those only about texts are left out, such as invitations and welcomes."""
    query = _visible(with_sms).where(Communication.account_id == account_id)
    if before is not None:
        query = query.where(Communication.id < before)
    return list(db.session.scalars(query.order_by(Communication.id.desc()).limit(limit)))


def latest_known_email(account_id: int, address: str) -> Delivery | None:
    """The newest email to this address whose outcome is known, among the account's newest communications.

    They are chosen here, because SQLite would begin with all the emails that were handed off.
    """
    recent = select(Communication.id).where(Communication.account_id == account_id)
    recent = recent.order_by(Communication.id.desc()).limit(_RECENT_COUNT)
    deliveries = select(Delivery).where(Delivery.communication_id.in_(recent)).order_by(Delivery.id.desc())
    return next((row for row in db.session.scalars(deliveries) if _is_known_email(row, address)), None)


def _is_known_email(delivery: Delivery, address: str) -> bool:
    is_known = delivery.state in (DeliveryState.HANDED_OFF, DeliveryState.REJECTED, DeliveryState.EXPIRED)
    return is_known and delivery.channel == "email" and delivery.address == address


def find_by_token(token: str) -> Communication | None:
    return db.session.scalar(select(Communication).where(Communication.token == token))


def find_for_account(communication_id: int, account_id: int) -> Communication | None:
    """The communication if it belongs to this account."""
    is_own = (Communication.id == communication_id, Communication.account_id == account_id)
    return db.session.scalar(select(Communication).where(*is_own))


def unread_count(account_id: int, with_sms: bool) -> int:
    unread = (Communication.account_id == account_id, Communication.read_at_ms.is_(None), *visible_kinds(with_sms))
    return db.session.scalar(select(func.count()).where(*unread)) or 0


def visible_kinds(with_sms: bool) -> list[ColumnElement[bool]]:
    """Without `with_sms`, notifications. An answer is visible where it went by email too."""
    email = exists().where(Delivery.communication_id == Communication.id, Delivery.channel == "email")
    is_answer = and_(Communication.kind == TextKind.ANSWER, email)
    return [] if with_sms else [or_(Communication.kind == TextKind.NOTIFICATION, is_answer)]


def with_deliveries(communication_ids: Sequence[int]) -> dict[int, Communication]:
    query = select(Communication).options(with_their_deliveries()).where(Communication.id.in_(communication_ids))
    return {communication.id: communication for communication in db.session.scalars(query)}


def _visible(with_sms: bool) -> Select[Any]:
    return select(Communication).options(with_their_deliveries()).where(*visible_kinds(with_sms))
