"""Who may be texted at a number, computed from its events in order of time (docs/consent-rules.md#consent-state).

Pure: events in, a standing out. The order of arrival does not matter; the order of time does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

REQUEST_VALID_MS = 30 * 86_400_000
"""A START counts as the answer to a request (an invitation or a wish) of the last 30 days."""
TWILIO_UNSUBSCRIBED_CODE = "21610"
"""The code of a STOP that Twilio told us of: the handset said it at some time before, not when we learned it."""


class EventKind(StrEnum):
    """What an event of the ledger says."""

    INVITED = "invited"
    REQUESTED = "wished"
    """An invitation asked for while the number was stopped: none can be texted, so the wish waits for START."""
    START = "start"
    STOP = "stop"
    HELP = "help"
    OPT_IN = "opt_in"
    """Consent given elsewhere and brought in with its evidence."""
    EVIDENCE = "evidence"
    """The same, kept although it changed nothing: another account held the number's texts."""
    MOVED = "moved"
    REMOVED = "removed"
    UNREACHABLE = "unreachable"
    CONFIRMED = "confirmed"
    ADDED = "added"
    """The number was put on an account. No line of the ledger: the accounts' own rows tell it."""


@dataclass(frozen=True)
class LedgerEvent:
    """`at_ms` and `rank` say when; `carriers` are the accounts that had the number then.

    `sure` is false for a START whose place before or after a STOP is still being asked about. `lifts_no_stop` is true
    for one that counts only while no STOP stands: YES at a toll-free number (docs/consent-rules.md#toll-free-yes).
    """

    id: int
    kind: EventKind
    at_ms: int
    account_id: int | None = None
    account_ids: frozenset[int] = frozenset()
    order_rank: int = 0
    order_confirmed: bool = True
    cannot_clear_stop: bool = False
    error_code: str = ""


@dataclass(frozen=True)
class ConsentState:
    """How a number stands. `holder` keeps it over a STOP, so that START gives the texts back to the same account.

    `enabled_by_event_id` is the event that enabled the texts, `stopped_by_event_id` the one that ended them; `invited` and `wished` map
    accounts to when they asked and have not been answered, `added` to when they got the number last. `displaced` lost
    the texts by the last change of holder. `last_recipient_since_ms` is since when the last holder has had them.
    """

    recipient_id: int | None = None
    receiving_since_ms: int | None = None
    enabled_by_event_id: int | None = None
    stopped_at_ms: int | None = None
    stopped_by_event_id: int | None = None
    invited_at_ms: Mapping[int, int] = field(default_factory=dict)
    requested_at_ms: Mapping[int, int] = field(default_factory=dict)
    added_at_ms: Mapping[int, int] = field(default_factory=dict)
    last_recipient_id: int | None = None
    last_recipient_since_ms: int = 0
    displaced_id: int | None = None
    unreachable_at_ms: int | None = None
    unreachable_code: str = ""
    unassigned_start_id: int | None = None
    """The last START that gave no account the texts: somebody has to look at it."""

    @property
    def receives_texts(self) -> bool:
        return self.recipient_id is not None and self.stopped_at_ms is None

    @property
    def requester_ids(self) -> set[int]:
        return {*self.invited_at_ms, *self.requested_at_ms}


def derive_state(events: Iterable[LedgerEvent]) -> ConsentState:
    """The standing after all events, in order of time; of two at the same moment, in order of rank and writing."""
    found = ConsentState()
    for event in sorted_events(events):
        found = apply_event(found, event)
    return found


def sorted_events(events: Iterable[LedgerEvent]) -> list[LedgerEvent]:
    return sorted(events, key=lambda event: (event.at_ms, event.order_rank, event.id))


def apply_event(now: ConsentState, event: LedgerEvent) -> ConsentState:
    """The one step of the decision table."""
    step = _TRANSITIONS.get(event.kind)
    return step(now, event) if step else now


def open_requests(now: ConsentState, at_ms: int) -> dict[int, int]:
    """Accounts whose request for the number's texts is open, be it an invitation or a wish, and since when."""
    last = {
        account: max(now.invited_at_ms.get(account, 0), now.requested_at_ms.get(account, 0))
        for account in now.requester_ids
    }
    return {account: since for account, since in last.items() if at_ms - since <= REQUEST_VALID_MS}


def accounts_added_since(events: Iterable[LedgerEvent], account_id: int | None, since_ms: int) -> set[int]:
    """Other accounts that got the number after that moment, except those that got it when this account did."""
    added = [(event.account_id, event.at_ms) for event in events if event.kind == EventKind.ADDED]
    together = {at_ms for account, at_ms in added if account == account_id}
    later = {account for account, at_ms in added if at_ms > since_ms and at_ms not in together}
    return {account for account in later if account not in (None, account_id)}


def _add(now: ConsentState, event: LedgerEvent) -> ConsentState:
    """Paper may be older than the day on which the account got the number: the hold then counts from that day."""
    if event.account_id is None:
        return now
    held_ms = event.at_ms if event.account_id == now.recipient_id else now.last_recipient_since_ms
    return replace(now, added_at_ms={**now.added_at_ms, event.account_id: event.at_ms}, last_recipient_since_ms=held_ms)


def _invite(now: ConsentState, event: LedgerEvent) -> ConsentState:
    if event.account_id is None:
        return now
    return replace(now, invited_at_ms={**now.invited_at_ms, event.account_id: event.at_ms})


def _request(now: ConsentState, event: LedgerEvent) -> ConsentState:
    if event.account_id is None:
        return now
    return replace(now, requested_at_ms={**now.requested_at_ms, event.account_id: event.at_ms})


def _stop(now: ConsentState, event: LedgerEvent) -> ConsentState:
    """STOP answers invitations, except one that Twilio told us of, which is older. Wishes wait for START.

    A number that is stopped already stays stopped since then.
    """
    invited = now.invited_at_ms if event.error_code == TWILIO_UNSUBSCRIBED_CODE else {}
    if now.stopped_at_ms is not None:
        return replace(now, invited_at_ms=invited)
    return replace(now, stopped_at_ms=event.at_ms, stopped_by_event_id=event.id, invited_at_ms=invited)


def _start(now: ConsentState, event: LedgerEvent) -> ConsentState:
    if now.stopped_at_ms is not None and not event.order_confirmed:
        return now
    if now.stopped_at_ms is not None and event.cannot_clear_stop:
        return replace(now, unassigned_start_id=event.id)
    target = _recipient_of_start(now, event)
    free = replace(
        now,
        stopped_at_ms=None,
        stopped_by_event_id=None,
        invited_at_ms={},
        requested_at_ms={},
        unreachable_at_ms=None,
        unreachable_code="",
    )
    if target is None:
        return _leave_unassigned(free, event)
    if target == now.recipient_id and now.stopped_at_ms is None:
        return replace(free, unassigned_start_id=None)
    return _assign(free, target, event)


def _recipient_of_start(now: ConsentState, event: LedgerEvent) -> int | None:
    """The newest request, else the last holder, else the only account with it (docs/consent-rules.md#whom-start-means).

    Without a request nobody gets the texts once another account has got the number: it may have changed hands.
    """
    asked = {account: at for account, at in open_requests(now, event.at_ms).items() if account in event.account_ids}
    if asked:
        return max(asked, key=lambda account: (asked[account], account))
    if now.last_recipient_id is not None:
        account, since_ms = now.last_recipient_id, now.last_recipient_since_ms
    elif len(event.account_ids) == 1:
        (account,) = event.account_ids
        since_ms = now.added_at_ms.get(account, 0)
    else:
        return None
    return account if account in event.account_ids and not _accounts_added_after(now, account, since_ms) else None


def _accounts_added_after(now: ConsentState, account_id: int | None, since_ms: int) -> set[int]:
    """Other accounts that got the number after that moment, also those that have left it again."""
    return {account for account, at_ms in now.added_at_ms.items() if account != account_id and at_ms > since_ms}


def _leave_unassigned(now: ConsentState, event: LedgerEvent) -> ConsentState:
    """An administrator must decide which account this START meant.

    Nobody gets the texts until then if the number may have changed hands.
    """
    if now.recipient_id is None or not _accounts_added_after(now, now.last_recipient_id, now.last_recipient_since_ms):
        return replace(now, unassigned_start_id=event.id)
    return replace(_without_recipient(now), unassigned_start_id=event.id)


def _without_recipient(now: ConsentState) -> ConsentState:
    return replace(
        now, recipient_id=None, receiving_since_ms=None, enabled_by_event_id=None, displaced_id=now.recipient_id
    )


def _opt_in(now: ConsentState, event: LedgerEvent) -> ConsentState:
    """Paper cannot clear a STOP: only START from the handset does (docs/consent-rules.md#only-start-reopens)."""
    if event.account_id is None or event.account_id == now.recipient_id:
        return now
    return _assign(now, event.account_id, event)


def _move(now: ConsentState, event: LedgerEvent) -> ConsentState:
    """Only what the handset agreed to can be moved: texts it gets, or a START that no account could be found for."""
    agreed = now.stopped_at_ms is None and (now.recipient_id is not None or now.unassigned_start_id is not None)
    if event.account_id is None or event.account_id == now.recipient_id or not agreed:
        return now
    return _assign(now, event.account_id, event)


def _remove(now: ConsentState, event: LedgerEvent) -> ConsentState:
    """Who takes the number off their account has no request and no texts there any more."""
    gone = event.account_id
    left = replace(
        now,
        invited_at_ms={account: at for account, at in now.invited_at_ms.items() if account != gone},
        requested_at_ms={account: at for account, at in now.requested_at_ms.items() if account != gone},
        displaced_id=None if gone in (now.recipient_id, now.displaced_id) else now.displaced_id,
    )
    return (
        left
        if now.recipient_id != gone
        else replace(left, recipient_id=None, receiving_since_ms=None, enabled_by_event_id=None)
    )


def _unreachable(now: ConsentState, event: LedgerEvent) -> ConsentState:
    return replace(now, unreachable_at_ms=event.at_ms, unreachable_code=event.error_code)


def _confirm_number(now: ConsentState, _event: LedgerEvent) -> ConsentState:
    """A dead number may have a new owner: if another account got it, the texts wait for START."""
    free = replace(now, unreachable_at_ms=None, unreachable_code="")
    if (
        now.unreachable_at_ms is None
        or now.recipient_id is None
        or not _accounts_added_after(now, now.last_recipient_id, now.last_recipient_since_ms)
    ):
        return free
    return _without_recipient(free)


def _assign(now: ConsentState, account_id: int, event: LedgerEvent) -> ConsentState:
    """Whoever had the texts is displaced, also if they have waited for a decision since."""
    lost = now.displaced_id if now.recipient_id is None else now.recipient_id
    return replace(
        now,
        recipient_id=account_id,
        last_recipient_id=account_id,
        last_recipient_since_ms=event.at_ms,
        receiving_since_ms=event.at_ms,
        enabled_by_event_id=event.id,
        displaced_id=lost if lost != account_id else None,
        unassigned_start_id=None,
    )


_TRANSITIONS = {
    EventKind.ADDED: _add,
    EventKind.INVITED: _invite,
    EventKind.REQUESTED: _request,
    EventKind.STOP: _stop,
    EventKind.START: _start,
    EventKind.OPT_IN: _opt_in,
    EventKind.MOVED: _move,
    EventKind.REMOVED: _remove,
    EventKind.UNREACHABLE: _unreachable,
    EventKind.CONFIRMED: _confirm_number,
}
