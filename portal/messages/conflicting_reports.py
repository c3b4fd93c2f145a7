"""Record reports that contradict the record of a text, each once, for administrators. Nothing moves or is resent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from portal.core import audit_log
from portal.core.rules.delivery_status import STATES, DeliveryState
from portal.messages.rules import report_conflicts
from portal.messages.rules.report_conflicts import DUPLICATE_CONFLICTS, ReportConflict
from portal.messages.tables import unresolved
from portal.messages.tables.communications import Delivery

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class DeliveryReport:
    """A report that moved nothing, or that names another message than the known one (see `find_conflict`)."""

    delivery_id: int
    state: str
    provider_id: str
    error_code: str = ""


def record_conflicts(reports: Sequence[DeliveryReport], now_ms: int) -> None:
    """Inside a transaction that has locked and moved the deliveries."""
    ids = sorted({report.delivery_id for report in reports})
    deliveries, provider_ids = unresolved.deliveries_by_id(ids), unresolved.provider_ids_by_delivery(ids)
    for report in reports:
        _record_conflict(deliveries[report.delivery_id], report, provider_ids[report.delivery_id], now_ms)


def record_listed_duplicates(delivery: Delivery, provider_ids: Iterable[str], now_ms: int) -> None:
    """Twilio’s list has several messages that can only be this text. Inside a transaction."""
    _record_once(ReportConflict.LISTED_TWICE, delivery, provider_ids, now_ms)


def _record_conflict(delivery: Delivery, report: DeliveryReport, provider_ids: set[str], now_ms: int) -> None:
    reported_ids = {report.provider_id} - {""}
    provider_ids |= reported_ids
    if len(provider_ids) > 1:
        _record_once(ReportConflict.ACCEPTED_TWICE, delivery, provider_ids, now_ms)
    kind = report_conflicts.find_conflict(delivery.state, delivery.provider_id, report.state, report.provider_id)
    if kind is not None:
        reported_label = STATES[report.state or DeliveryState.ACCEPTED].label
        details = {"recorded": STATES[delivery.state].label, "reported": reported_label}
        details |= {"error_code": report.error_code} if report.error_code else {}
        _record_once(kind, delivery, reported_ids or provider_ids, now_ms, **details)


def _record_once(kind: ReportConflict, delivery: Delivery, ids: Iterable[str], now_ms: int, **details: str) -> None:
    """Skip a conflict that names no new message. `ids` are the provider’s."""
    ids, subject = sorted(ids), f"text {delivery.id}"
    entries = audit_log.entries_about(subject, DUPLICATE_CONFLICTS if kind in DUPLICATE_CONFLICTS else (kind,))
    if any(set(ids) <= set(entry.detail["ids"]) for entry in entries):
        return
    detail = {"communication": delivery.communication_id, "ids": ids, **details}
    audit_log.record_audit_entry(kind, subject, None, now_ms, **detail)
    _log.error("conflicting delivery reports", kind=kind.value, delivery=delivery.id, **details)
