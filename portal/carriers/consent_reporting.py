"""Tell Twilio of opt-outs and of START (docs/twilio.md#opt-outs-twilio-does-not-know, ADR 53).

The scheduler does it, one call at a time. A call whose answer was not recorded is made again, to the letter.
"""

from collections.abc import Callable, Sequence

import structlog

from portal.carriers.rules.consent_report_choice import (
    MAX_ITEMS,
    Choice,
    DueReport,
    ItemResult,
    choose_reports,
    consent_items,
    correlation_id,
    item_problem,
)
from portal.carriers.tables.due_reports import due_reports
from portal.consent.tables import consent_reports
from portal.consent.tables.consent_reports import ReportState
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.twilio_consents import TwilioConsents
from portal.gateways.twilio_http import RequestFailed
from portal.settings import app_settings

SECONDS_BETWEEN_CALLS = 0.75
"""Twilio allows 100 calls a minute (docs/twilio.md#consent-management-api)."""
_RETRY_MINUTES = (1, 2, 5, 15, 60)
_ORDER_RETRY_MS = 60_000
_NO_ANSWER = N_("Twilio’s answer does not mention it.")
_log = structlog.get_logger(__name__)


def report_consent(
    clock: Callable[[], int], pause: Callable[[float], object], should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Tell what is due, until nothing is or Twilio fails. `pause` waits for so many seconds between two calls."""
    target = _target()
    if target is None:
        return
    client, senders = target
    while not should_stop():
        due = due_reports(clock(), _reports_per_call(senders))
        choice = choose_reports(due, clock())
        db.session.rollback()
        if not due or not _tell(client, senders, choice, clock):
            return
        if choice.told:
            pause(SECONDS_BETWEEN_CALLS)


def _target() -> tuple[TwilioConsents, tuple[str, ...]] | None:
    """Twilio and the senders whose opt-outs it keeps; None if it is not to be told, or the live gateway is not set."""
    if not consent_reports.is_reporting():
        return None
    credentials = twilio_credentials()
    sender = app_settings.live_gateway().sender
    if credentials is None or sender is None:
        return None
    senders = tuple(dict.fromkeys(each.sender_key for each in sender.individual_senders))
    return TwilioConsents(settings().twilio_api_url, credentials), senders


def twilio_credentials() -> Credentials | None:
    """Those outside test mode, if Twilio sends the texts."""
    credentials = app_settings.live_credentials()
    return credentials if credentials is not None and credentials.provider == "Twilio" else None


def _reports_per_call(senders: Sequence[str]) -> int:
    return max(1, MAX_ITEMS // len(senders))


def _tell(client: TwilioConsents, senders: Sequence[str], choice: Choice, clock: Callable[[], int]) -> bool:
    """One call, and its results in one transaction. Returns False if Twilio did not take it."""
    items = [item for report in choice.told for item in consent_items(report, senders)]
    try:
        answers = client.tell(items) if items else {}
    except RequestFailed as failure:
        _log.warning("consent not reported; will retry", reports=len(choice.told), status=failure.error.status)
        _delay(choice.told, str(failure), clock())
        return False
    results = {id: ItemResult(code, messages) for id, (code, messages) in answers.items()}
    _record(choice, senders, results, clock())
    return True


def _record(choice: Choice, senders: Sequence[str], results: dict[str, ItemResult], now_ms: int) -> None:
    answered: list[DueReport] = []
    silent: list[DueReport] = []
    for report in choice.told:
        ids = [correlation_id(report, sender) for sender in senders]
        (answered if all(id in results for id in ids) else silent).append(report)
    problems = {
        report: item_problem(results[correlation_id(report, sender)] for sender in senders) for report in answered
    }
    with transaction():
        told = [report for report, problem in problems.items() if not problem]
        consent_reports.end_reports(_ids(told), ReportState.TOLD, now_ms)
        for report, problem in problems.items():
            if problem:
                consent_reports.end_reports([report.event_id], ReportState.REFUSED, now_ms, problem)
        consent_reports.end_reports(_ids(choice.superseded), ReportState.SUPERSEDED, now_ms)
        later = [(report.event_id, report.tries, now_ms + _ORDER_RETRY_MS) for report in choice.later]
        consent_reports.delay_reports(later, "")
        consent_reports.delay_reports(_next_tries(silent, now_ms), _NO_ANSWER)


def _delay(reports: Sequence[DueReport], error: str, now_ms: int) -> None:
    with transaction():
        consent_reports.delay_reports(_next_tries(reports, now_ms), error)


def _next_tries(reports: Sequence[DueReport], now_ms: int) -> list[tuple[int, int, int]]:
    waits = [_RETRY_MINUTES[min(report.tries, len(_RETRY_MINUTES) - 1)] * 60_000 for report in reports]
    return [
        (report.event_id, report.tries + 1, now_ms + wait_ms) for report, wait_ms in zip(reports, waits, strict=True)
    ]


def _ids(reports: Sequence[DueReport]) -> list[int]:
    return [report.event_id for report in reports]


def try_refused_again(actor_id: int, now_ms: int) -> None:
    """After somebody has corrected what Twilio refused."""
    with transaction():
        count = consent_reports.try_refused_again(now_ms)
        record_audit_entry("consent_reports_retried", "consent reports", actor_id, now_ms, count=count)
