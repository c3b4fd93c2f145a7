"""The reports that are due, with what Twilio needs to know about each."""

from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneState
from portal.carriers.rules.consent_report_choice import DueReport
from portal.consent.tables.consent_reports import ConsentReport, ReportState
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db


def due_reports(now_ms: int, limit: int) -> list[DueReport]:
    """In the order of the ledger, so that a START follows the STOP before it."""
    event, report = ConsentEvent, ConsentReport
    columns = event.id, event.number, event.kind, event.source, event.occurred_at_ms, event.digest
    query = (
        select(*columns, report.created_at_ms, report.tries, PhoneState.stopped_at_ms)
        .join(report, report.event_id == event.id)
        .outerjoin(PhoneState, PhoneState.number == event.number)
        .where(report.state == ReportState.WAITING, report.next_try_at_ms <= now_ms)
        .order_by(event.id)
        .limit(limit)
    )
    return [DueReport(*row[:-1], is_stopped=row[-1] is not None) for row in db.session.execute(query)]
