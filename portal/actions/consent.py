"""Consent as this room writes it: the ledger first, then what follows from it."""

from portal.extensions import db
from portal.models.communication import Attempt
from portal.models.phone import ConsentEvent, Handset
from portal.models.upsert import put


def note_late_stop(delivery_id: int, attempt_id: str, now_ms: int) -> None:
    """Twilio answered 21610: the person said STOP and we had not heard (TWILIO.md 4). Inside a transaction."""
    attempt = db.session.get_one(Attempt, attempt_id)
    db.session.add(
        ConsentEvent(
            number=attempt.sent_to,
            kind="stop",
            source="twilio",
            detail={"code": "21610", "delivery": delivery_id},
            occurred_at_ms=now_ms,
            recorded_at_ms=now_ms,
        )
    )
    put(Handset, {"number": attempt.sent_to, "stopped_at_ms": now_ms}, ["number"])


def hear(said: str, number: str, provider_id: str, body: str, now_ms: int) -> None:
    """`stop` or `start` from the handset itself. Inside a transaction.

    STOP leaves untouched which account holds the number's texts, so that START gives them back to the same one.
    """
    db.session.add(
        ConsentEvent(
            number=number,
            kind=said,
            source="handset",
            detail={"message": provider_id, "words": body[:1600]},
            occurred_at_ms=now_ms,
            recorded_at_ms=now_ms,
        )
    )
    put(Handset, {"number": number, "stopped_at_ms": now_ms if said == "stop" else None}, ["number"])
