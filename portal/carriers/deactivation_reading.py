"""Read each day which numbers carriers deactivated, and text none of them until its phone says START (ADR 53)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import structlog

from portal.accounts.tables.phone_numbers import recipients_by_number
from portal.carriers.consent_reporting import twilio_credentials
from portal.carriers.rules import deactivation_list
from portal.carriers.tables import deactivation_days
from portal.consent import consent_notifications, recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.consent.tables import ledger
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.routing import DEACTIVATED_CODE
from portal.core.transaction import transaction
from portal.gateways.twilio_consents import DeactivationLists
from portal.gateways.twilio_http import RequestFailed

_KEPT_DAYS = 400
_log = structlog.get_logger(__name__)


def read_deactivations(clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Read the lists that are due, the oldest first. One that cannot be read does not keep the others back."""
    credentials = twilio_credentials()
    if credentials is None:
        return
    known = deactivation_days.known_days()
    due = deactivation_list.days_to_read(
        clock(), {day: None if row.read_at_ms is not None else row.next_try_at_ms for day, row in known.items()}
    )
    tries = {day: row.tries for day, row in known.items()}
    db.session.rollback()
    lists = DeactivationLists(settings().twilio_api_url, credentials)
    for day in due:
        if should_stop():
            return
        _read_day(lists, day, tries.get(day.isoformat(), 0), clock)


def _read_day(lists: DeactivationLists, day: date, tries: int, clock: Callable[[], int]) -> None:
    listed = found = 0
    try:
        for numbers in deactivation_list.number_chunks(lists.lines(day)):
            listed += len(numbers)
            found += _record_deactivated(day, numbers, clock())
    except RequestFailed as failure:
        _log.warning("list of deactivated numbers not read; will retry", day=str(day), status=failure.error.status)
        with transaction():
            next_try_ms = deactivation_list.next_try_ms(tries + 1, clock())
            deactivation_days.store_failed_day(str(day), tries + 1, next_try_ms, str(failure))
        return
    oldest = datetime.fromtimestamp(clock() / 1000, UTC).date() - timedelta(days=_KEPT_DAYS)
    with transaction():
        deactivation_days.store_read_day(str(day), listed, found, clock())
        deactivation_days.delete_days_before(str(oldest))


def _record_deactivated(day: date, listed: list[str], now_ms: int) -> int:
    """Return how many of the listed numbers are known here."""
    known = deactivation_days.known_numbers(listed)
    db.session.rollback()
    if known:
        with transaction():
            ledger.lock_ledger()
            _add_events(day, known, now_ms)
    return len(known)


def _add_events(day: date, numbers: list[str], now_ms: int) -> None:
    """Once for each number and day, and with them the emails to whoever got texts there."""
    at_ms = deactivation_list.end_of_day_ms(day)
    done = deactivation_days.numbers_listed_before(numbers, at_ms)
    new = sorted(set(numbers) - done)
    if not new:
        return
    detail = {"error_code": DEACTIVATED_CODE, "day": str(day)}
    times = {"occurred_at_ms": at_ms, "recorded_at_ms": now_ms}
    kind, source = EventKind.UNREACHABLE, EventSource.TWILIO
    rows = [{"number": number, "kind": kind, "source": source, "detail": detail, **times} for number in new]
    recipients = recipients_by_number(new)
    last_id = ledger.append(*rows)
    recording.recompute(new, now_ms)
    for event_id, number in enumerate(new, last_id - len(new) + 1):
        if number in recipients and recording.is_deactivated(number):
            account_id = recipients[number][0]
            consent_notifications.send_email(
                consent_notifications.NUMBER_DEACTIVATED, account_id, number, event_id, now_ms
            )
