"""What contradicts the record of a text, kept once for an administrator to see. No state moves, nothing is sent again.

Whoever moves a text forward comes here with what moved nothing, or bears another name than is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from portal.domain.contradictions import TWICE, Contradiction, Recorded, Told, between
from portal.domain.status import STATES
from portal.models import audit_log, doubts
from portal.models.communication import Delivery

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class News:
    """What was told of a delivery, with the provider's code."""

    delivery_id: int
    told: Told
    code: str = ""


def note(news: Sequence[News], now_ms: int) -> None:
    """Keep what of it contradicts the record. Inside a transaction that holds the deliveries, after they are moved."""
    ids = sorted({each.delivery_id for each in news})
    deliveries, known = doubts.with_ids(ids), doubts.message_ids(ids)
    for each in news:
        _note(deliveries[each.delivery_id], each, known[each.delivery_id], now_ms)


def note_listed(delivery: Delivery, provider_ids: Iterable[str], now_ms: int) -> None:
    """Twilio's list shows several messages that can only be this one. Inside a transaction."""
    _keep(Contradiction.LISTED_TWICE, delivery, provider_ids, now_ms)


def _note(delivery: Delivery, news: News, known: set[str], now_ms: int) -> None:
    told, recorded = news.told, Recorded(delivery.state, delivery.provider_id)
    if told.provider_id:
        known.add(told.provider_id)
    if len(known) > 1:
        _keep(Contradiction.TAKEN_TWICE, delivery, known, now_ms)
    kind = between(recorded, told)
    if kind is not None:
        words = {"recorded": STATES[recorded.state].words, "told": STATES[told.state or "accepted"].words}
        code = {"code": news.code} if news.code else {}
        _keep(kind, delivery, [told.provider_id] if told.provider_id else known, now_ms, **words, **code)


def _keep(kind: Contradiction, delivery: Delivery, provider_ids: Iterable[str], now_ms: int, **more: str) -> None:
    """Once: what names no message that was not named before says nothing new."""
    ids, subject = sorted(provider_ids), f"text {delivery.id}"
    before = audit_log.about(subject, TWICE if kind in TWICE else (kind,))
    if any(set(ids) <= set(entry.detail["ids"]) for entry in before):
        return
    known = {"communication": delivery.communication_id, "ids": ids, **more}
    audit_log.add(kind, subject, None, now_ms, **known)
    _log.error("what is told of a text is contradictory", kind=kind.value, delivery=delivery.id, **more)
