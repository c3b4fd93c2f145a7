"""What contradicts the record of a text, kept once for an administrator to see. No state moves, nothing is sent again.

Whoever moves a text forward comes here with what moved nothing, or bears another name than is known.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from portal.core import audit_log
from portal.core.rules.delivery_status import STATES
from portal.messages.rules.report_conflicts import (
    DUPLICATE_CONFLICTS,
    ProviderReport,
    RecordedState,
    ReportConflict,
    find_conflict,
)
from portal.messages.tables import unresolved
from portal.messages.tables.communications import Delivery

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DeliveryReport:
    """What was told of a delivery, with the provider's code."""

    delivery_id: int
    report: ProviderReport
    error_code: str = ""


def record_conflicts(news: Sequence[DeliveryReport], now_ms: int) -> None:
    """Keep what of it contradicts the record. Inside a transaction that holds the deliveries, after they are moved."""
    ids = sorted({each.delivery_id for each in news})
    deliveries, known = unresolved.deliveries_by_id(ids), unresolved.provider_ids_by_delivery(ids)
    for each in news:
        _record_conflict(deliveries[each.delivery_id], each, known[each.delivery_id], now_ms)


def record_listed_duplicates(delivery: Delivery, provider_ids: Iterable[str], now_ms: int) -> None:
    """Twilio's list shows several messages that can only be this one. Inside a transaction."""
    _record_once(ReportConflict.LISTED_TWICE, delivery, provider_ids, now_ms)


def _record_conflict(delivery: Delivery, news: DeliveryReport, known: set[str], now_ms: int) -> None:
    told, recorded = news.report, RecordedState(delivery.state, delivery.provider_id)
    if told.provider_id:
        known.add(told.provider_id)
    if len(known) > 1:
        _record_once(ReportConflict.ACCEPTED_TWICE, delivery, known, now_ms)
    kind = find_conflict(recorded, told)
    if kind is not None:
        words = {"recorded": STATES[recorded.state].label, "told": STATES[told.state or "accepted"].label}
        code = {"error_code": news.error_code} if news.error_code else {}
        _record_once(kind, delivery, [told.provider_id] if told.provider_id else known, now_ms, **words, **code)


def _record_once(
    kind: ReportConflict, delivery: Delivery, provider_ids: Iterable[str], now_ms: int, **more: str
) -> None:
    """Once: what names no message that was not named before says nothing new."""
    ids, subject = sorted(provider_ids), f"text {delivery.id}"
    before = audit_log.entries_about(subject, DUPLICATE_CONFLICTS if kind in DUPLICATE_CONFLICTS else (kind,))
    if any(set(ids) <= set(entry.detail["ids"]) for entry in before):
        return
    known = {"communication": delivery.communication_id, "ids": ids, **more}
    audit_log.record_audit_entry(kind, subject, None, now_ms, **known)
    _log.error("conflicting delivery reports", kind=kind.value, delivery=delivery.id, **more)
