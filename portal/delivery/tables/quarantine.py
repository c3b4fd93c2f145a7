"""Messages in a restored database may have been sent since the copy was made."""

import secrets
from typing import Any

from sqlalchemy import func, insert, select, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import UNSENT, WAITING
from portal.core.rules.routing import Mode
from portal.core.translation import N_
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import transitions
from portal.messages.tables.communications import Attempt, Delivery
from portal.sends.rules.send_state import SendState
from portal.sends.tables.sends import FANNING_OUT_STATES, Send

_CHUNK = 500


def quarantine_waiting_texts(account_sid: str, now_ms: int) -> int:
    """Mark one chunk of waiting texts as unknown and return its size. Inside a transaction.

    Reconciliation then looks for each in Twilio’s list, and releases what is certainly missing.
    """
    query = select(Delivery.id, Delivery.address, Delivery.created_at_ms).order_by(Delivery.id).limit(_CHUNK)
    rows = db.session.execute(query.where(Delivery.channel == "sms", Delivery.state.in_(WAITING))).all()
    attempts: list[dict[str, Any]] = [
        {
            "id": secrets.token_urlsafe(12),
            "delivery_id": row.id,
            "mode": Mode.LIVE,
            "account_sid": account_sid,
            "destination": row.address,
            "started_at_ms": row.created_at_ms,
            "slot_at_ms": row.created_at_ms,
            "lease_until_ms": now_ms,
            "finished_at_ms": now_ms,
            "outcome": AttemptOutcome.UNKNOWN,
            "detail": N_("The database was restored from a backup; checking whether this text was sent."),
        }
        for row in rows
    ]
    if attempts:
        db.session.execute(insert(Attempt), attempts)
        transitions.quarantine([(attempt["delivery_id"], attempt["id"]) for attempt in attempts], now_ms)
    return len(attempts)


def pause_unfinished_fan_outs(now_ms: int) -> list[int]:
    """Return the ids of the sends that were paused, with those to approve. Inside a transaction."""
    states = (SendState.AWAITING_APPROVAL, *FANNING_OUT_STATES)
    unfinished = select(Send.id).where(Send.state.in_(states), Send.paused_at_ms.is_(None))
    ids = list(db.session.scalars(unfinished.order_by(Send.id).with_for_update()))
    db.session.execute(update(Send).where(Send.id.in_(ids)).values(paused_at_ms=now_ms))
    return ids


def count_unsent_mails() -> int:
    """Including emails that were in flight in the copy: nobody will finish them, so they would be sent again."""
    query = select(func.count()).where(Delivery.channel == "email", Delivery.state.in_(UNSENT))
    return db.session.scalar(query) or 0
