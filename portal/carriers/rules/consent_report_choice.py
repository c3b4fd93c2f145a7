"""Which of the due reports Twilio is told, and how: always what holds now, never what a later event has replaced."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from portal.consent.rules.consent_state import EventKind, EventSource
from portal.core.translation import N_
from portal.core.translation import gettext as _

MAX_ITEMS = 25
"""In one call (docs/twilio.md#consent-management-api)."""
_ORDER_SETTLES_MS = 3_600_000
"""A START that waits for Twilio's list, to see whether it is older than a STOP, is settled by then."""
_BY_TEXT = (EventSource.HANDSET, EventSource.REPLY)
_OFFLINE = (EventSource.MANUAL, EventSource.IMPORT)
_ITEM_ERRORS = {
    "INVALID_CONTACT_ID": N_("Twilio does not accept the phone number."),
    "INVALID_SENDER_ID": N_("Twilio does not accept the sending number or messaging service."),
    "INVALID_DATE_OF_CONSENT": N_("Twilio does not accept the date."),
}
_OTHER_ITEM_ERROR = N_("Twilio refused it with code %(code)s.")


@dataclass(frozen=True)
class DueReport:
    """A STOP or START of the ledger. `is_stopped` is the number's state now, from all of its events."""

    event_id: int
    number: str
    kind: str
    source: str
    at_ms: int
    digest: str
    created_at_ms: int
    tries: int = 0
    is_stopped: bool = False


@dataclass
class Choice:
    """`told` are to be told now, `later` not yet, and `superseded` never."""

    told: list[DueReport] = field(default_factory=list)
    later: list[DueReport] = field(default_factory=list)
    superseded: list[DueReport] = field(default_factory=list)


@dataclass(frozen=True)
class ItemResult:
    """Twilio's answer about one item; code 0 is success."""

    code: int
    messages: tuple[str, ...] = ()


def choose_reports(reports: Iterable[DueReport], now_ms: int) -> Choice:
    by_number: dict[str, list[DueReport]] = defaultdict(list)
    for report in reports:
        by_number[report.number].append(report)
    choice = Choice()
    for of_number in by_number.values():
        _choose(of_number, choice, now_ms)
    return choice


def _choose(reports: Sequence[DueReport], choice: Choice, now_ms: int) -> None:
    """The newest that says what holds now; a START may still prove to be newer than the STOP."""
    current = EventKind.STOP if reports[0].is_stopped else EventKind.START
    told = max((report for report in reports if report.kind == current), key=lambda r: r.event_id, default=None)
    for report in reports:
        may_still_hold = report.kind == EventKind.START and now_ms - report.created_at_ms < _ORDER_SETTLES_MS
        if report is told:
            choice.told.append(report)
        elif told is None and current == EventKind.STOP and may_still_hold:
            choice.later.append(report)
        else:
            choice.superseded.append(report)


def consent_items(report: DueReport, senders: Iterable[str]) -> list[dict[str, str]]:
    """An item for each sender, as Twilio keeps each sender's opt-outs apart. A repetition is the same to the letter."""
    is_stop = report.kind == EventKind.STOP
    at = datetime.fromtimestamp(report.at_ms // 1000, UTC)
    return [
        {
            "contact_id": report.number,
            "correlation_id": correlation_id(report, sender),
            "sender_id": sender,
            "status": "opt-out" if is_stop else "opt-in",
            "source": _source(report.source, is_stop),
            "date_of_consent": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for sender in senders
    ]


def correlation_id(report: DueReport, sender: str) -> str:
    return sha256(f"{report.digest} {sender}".encode()).hexdigest()[:32]


def _source(source: str, is_stop: bool) -> str:
    if source in _BY_TEXT:
        return "opt-out-message" if is_stop else "opt-in-message"
    return "offline" if source in _OFFLINE else "website"


def item_problem(results: Iterable[ItemResult]) -> str:
    """Why Twilio refused one of the items, in words; "" if it took all of them."""
    refused = next((result for result in results if result.code), None)
    if refused is None:
        return ""
    known = next((_ITEM_ERRORS[name] for name in refused.messages if name in _ITEM_ERRORS), None)
    return known or _(_OTHER_ITEM_ERROR, code=str(refused.code))
