"""Who may be texted at a phone number, computed from its events (docs/consent-rules.md#consent-state).

Events are applied in order of time, whatever the order of their arrival.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from portal.core.rules.routing import DEACTIVATED_CODE

REQUEST_VALID_MS = 30 * 86_400_000
"""A START answers a request (an invitation, or a request while stopped) of the last 30 days."""
TWILIO_UNSUBSCRIBED_CODE = "21610"
"""Twilio reports a STOP by this error code, some time after the handset sent it (docs/twilio.md#blocked-send)."""


HYPOTHETICAL_ID = 2**62
"""The id of an event, or of an account, that does not exist yet."""


class EventKind(StrEnum):
    """What an event of the ledger says."""

    INVITED = "invited"
    REQUESTED = "requested"
    """Texts requested while the number was stopped: no invitation can be texted, so the request waits for START."""
    START = "start"
    STOP = "stop"
    HELP = "help"
    OPT_IN = "opt_in"
    """Consent given elsewhere, imported with its evidence."""
    EVIDENCE = "evidence"
    """The same, kept although it changed nothing because another account got the texts."""
    MOVED = "moved"
    MERGED = "merged"
    """The account took over the number from another one, with its texts, its requests and its opt-out."""
    REMOVED = "removed"
    UNREACHABLE = "unreachable"
    CONFIRMED = "confirmed"
    ADDED = "added"
    """The number was added to an account. Not stored in the ledger: it is read from the accounts' own rows."""


class EventSource(StrEnum):
    """Who or what brought an event to the ledger. MANUAL and REPLY are an administrator's decision."""

    HANDSET = "handset"
    PORTAL = "portal"
    TWILIO = "twilio"
    MANUAL = "manual"
    REPLY = "reply"
    IMPORT = "import"


class MessageSource(StrEnum):
    """Where the portal read a handset's text."""

    WEBHOOK = "webhook"
    LIST = "list"
    """Twilio's list, after an outage."""


@dataclass(frozen=True)
class LedgerEvent:
    """`at_ms` and `order_rank` give the order in time; `account_ids` are the accounts that had the number then.

    `order_confirmed` is false for a START that may be older than a STOP. `cannot_clear_stop` marks YES at a toll-free
    number, which counts only while the number is not stopped (docs/consent-rules.md#toll-free-yes).
    `from_account_id` was merged into `account_id`.
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
    from_account_id: int | None = None


@dataclass(frozen=True)
class ConsentState:
    """The state of a phone number. `recipient_id` survives a STOP, so that START gives the texts back to that account.

    `enabled_by_event_id` is the event that enabled the texts, `stopped_by_event_id` the one that ended them.
    `requests` maps accounts to their unanswered request, an invitation or one made while stopped, `added_at_ms` to when
    they last got the number. `displaced_id` lost the texts by the last change of recipient. `unassigned_start_id` is a
    START that waits for an administrator to decide which account it meant.
    """

    recipient_id: int | None = None
    receiving_since_ms: int | None = None
    enabled_by_event_id: int | None = None
    stopped_at_ms: int | None = None
    stopped_by_event_id: int | None = None
    requests: Mapping[int, LedgerEvent] = field(default_factory=dict)
    added_at_ms: Mapping[int, int] = field(default_factory=dict)
    last_recipient_id: int | None = None
    last_recipient_since_ms: int = 0
    displaced_id: int | None = None
    unreachable_at_ms: int | None = None
    unreachable_code: str = ""
    unassigned_start_id: int | None = None

    @property
    def receives_texts(self) -> bool:
        return self.recipient_id is not None and self.stopped_at_ms is None

    @property
    def is_deactivated(self) -> bool:
        """The number may have a new owner, so nothing but START from the phone turns its texts on again."""
        return self.unreachable_code == DEACTIVATED_CODE


def derive_state(events: Iterable[LedgerEvent]) -> ConsentState:
    """Apply all events in order of time; events of the same moment in order of rank, then of writing."""
    state = ConsentState()
    for event in sorted_events(events):
        state = apply_event(state, event)
    return state


def known_at(at_ms: int, events: Iterable[LedgerEvent], recorded_at_ms: Mapping[int, int]) -> list[LedgerEvent]:
    """What the ledger held then: an event that happened before but was recorded later was not known."""
    return [event for event in events if max(event.at_ms, recorded_at_ms.get(event.id, 0)) <= at_ms]


def enabling_event_id(events: Iterable[LedgerEvent], account_id: int) -> int | None:
    """The event that lets texts for this account go to the number; None if none does."""
    state = derive_state(events)
    return state.enabled_by_event_id if state.receives_texts and state.recipient_id == account_id else None


def state_after(
    events: Iterable[LedgerEvent], kind: EventKind, at_ms: int, account_id: int | None = None, **fields: Any
) -> ConsentState:
    """The state if this event, with the id `HYPOTHETICAL_ID`, happened as well."""
    return derive_state([*events, LedgerEvent(HYPOTHETICAL_ID, kind, at_ms, account_id, **fields)])


def sorted_events(events: Iterable[LedgerEvent]) -> list[LedgerEvent]:
    return sorted(events, key=lambda event: (event.at_ms, event.order_rank, event.id))


def apply_event(state: ConsentState, event: LedgerEvent) -> ConsentState:
    transition = _TRANSITIONS.get(event.kind)
    return transition(state, event) if transition else state


def open_requests(state: ConsentState, at_ms: int) -> dict[int, int]:
    """Map accounts with an open request, whether invited or made while stopped, to the time of their last one."""
    requests = {account: request.at_ms for account, request in state.requests.items()}
    return {account: since_ms for account, since_ms in requests.items() if at_ms - since_ms <= REQUEST_VALID_MS}


def accounts_added_since(events: Iterable[LedgerEvent], account_id: int | None, since_ms: int) -> set[int]:
    """Other accounts that got the number after `since_ms`, except those that got it when `account_id` did."""
    added = [(event.account_id, event.at_ms) for event in events if event.kind == EventKind.ADDED]
    own_times = {at_ms for account, at_ms in added if account == account_id}
    later = {account for account, at_ms in added if at_ms > since_ms and at_ms not in own_times}
    return {account for account in later if account not in (None, account_id)}


def _add(state: ConsentState, event: LedgerEvent) -> ConsentState:
    """An imported opt-in may be older than the number on its account: the texts then count from the later day."""
    if event.account_id is None:
        return state
    since_ms = event.at_ms if event.account_id == state.recipient_id else state.last_recipient_since_ms
    added_at_ms = {**state.added_at_ms, event.account_id: event.at_ms}
    return replace(state, added_at_ms=added_at_ms, last_recipient_since_ms=since_ms)


def _request(state: ConsentState, event: LedgerEvent) -> ConsentState:
    return replace(state, requests={**state.requests, event.account_id: event}) if event.account_id else state


def _stop(state: ConsentState, event: LedgerEvent) -> ConsentState:
    """STOP answers invitations, except one that Twilio reported, which is older. Requests made while stopped stay open.

    A number that is already stopped keeps its earlier time.
    """
    unanswered = {id: request for id, request in state.requests.items() if request.kind != EventKind.INVITED}
    requests = state.requests if event.error_code == TWILIO_UNSUBSCRIBED_CODE else unanswered
    if state.stopped_at_ms is not None:
        return replace(state, requests=requests)
    return replace(state, stopped_at_ms=event.at_ms, stopped_by_event_id=event.id, requests=requests)


def _start(state: ConsentState, event: LedgerEvent) -> ConsentState:
    if state.stopped_at_ms is not None and not event.order_confirmed:
        return state
    if state.stopped_at_ms is not None and event.cannot_clear_stop:
        return replace(state, unassigned_start_id=event.id)
    recipient_id = _recipient_of_start(state, event)
    reopened = replace(_reachable(state), stopped_at_ms=None, stopped_by_event_id=None, requests={})
    if recipient_id is None:
        end_texts = _displaced if state.is_deactivated else _without_doubtful_recipient
        return replace(end_texts(reopened), unassigned_start_id=event.id)
    if recipient_id == state.recipient_id and state.stopped_at_ms is None and not state.is_deactivated:
        return replace(reopened, unassigned_start_id=None)
    return _assign(reopened, recipient_id, event)


def _recipient_of_start(state: ConsentState, event: LedgerEvent) -> int | None:
    """The newest requester, else the last recipient, else the only account (docs/consent-rules.md#whom-start-means).

    Without a request nobody gets the texts if another account got the number since, or if the carrier has deactivated
    it and no account has confirmed it: it may have a new owner.
    """
    requests = {
        account: at for account, at in open_requests(state, event.at_ms).items() if account in event.account_ids
    }
    if requests:
        return max(requests, key=lambda account: (requests[account], account))
    if state.is_deactivated:
        return None
    if state.last_recipient_id is not None:
        account, since_ms = state.last_recipient_id, state.last_recipient_since_ms
    elif len(event.account_ids) == 1:
        (account,) = event.account_ids
        since_ms = state.added_at_ms.get(account, 0)
    else:
        return None
    return account if account in event.account_ids and not _may_have_new_owner(state, account, since_ms) else None


def _may_have_new_owner(state: ConsentState, account_id: int | None, since_ms: int) -> bool:
    """Whether another account got the number after `since_ms`, even one that removed it again."""
    return any(account != account_id and at_ms > since_ms for account, at_ms in state.added_at_ms.items())


def _without_doubtful_recipient(state: ConsentState) -> ConsentState:
    """Give the texts to nobody if the number may have a new owner."""
    last_id, since_ms = state.last_recipient_id, state.last_recipient_since_ms
    if state.recipient_id is None or not _may_have_new_owner(state, last_id, since_ms):
        return state
    return _displaced(state)


def _displaced(state: ConsentState) -> ConsentState:
    return replace(_without_recipient(state), displaced_id=state.recipient_id)


def _without_recipient(state: ConsentState) -> ConsentState:
    return replace(state, recipient_id=None, receiving_since_ms=None, enabled_by_event_id=None)


def _opt_in(state: ConsentState, event: LedgerEvent) -> ConsentState:
    """An imported opt-in cannot clear a STOP: only START does (docs/consent-rules.md#only-start-reopens)."""
    if event.account_id is None or event.account_id == state.recipient_id:
        return state
    return _assign(state, event.account_id, event)


def _move(state: ConsentState, event: LedgerEvent) -> ConsentState:
    """Only consent from the handset can be moved: texts that it gets, or a START without an account."""
    if state.stopped_at_ms is None and (state.recipient_id is not None or state.unassigned_start_id is not None):
        return _opt_in(state, event)
    return state


def _merge(state: ConsentState, event: LedgerEvent) -> ConsentState:
    """Both accounts are the same person, so nothing is displaced and an opt-out stays (docs/consent-rules.md#merge)."""
    merged_id, kept_id = event.from_account_id, event.account_id
    if merged_id is None or kept_id is None:
        return state

    def renamed(account_id: int | None) -> int | None:
        return kept_id if account_id == merged_id else account_id

    requests = sorted(state.requests.items(), key=lambda item: item[1].at_ms)
    added = [(kept_id if account == merged_id else account, at_ms) for account, at_ms in state.added_at_ms.items()]
    recipient_id, displaced_id = renamed(state.recipient_id), renamed(state.displaced_id)
    return replace(
        state,
        recipient_id=recipient_id,
        last_recipient_id=renamed(state.last_recipient_id),
        displaced_id=None if displaced_id == recipient_id else displaced_id,
        requests={kept_id if account == merged_id else account: request for account, request in requests},
        added_at_ms=dict(sorted(added, key=lambda item: item[1], reverse=True)),
    )


def _remove(state: ConsentState, event: LedgerEvent) -> ConsentState:
    """An account that removes the number loses its requests and its texts there."""
    removed_id = event.account_id
    remaining = replace(
        state,
        requests={account: request for account, request in state.requests.items() if account != removed_id},
        displaced_id=None if removed_id in (state.recipient_id, state.displaced_id) else state.displaced_id,
    )
    return _without_recipient(remaining) if state.recipient_id == removed_id else remaining


def _unreachable(state: ConsentState, event: LedgerEvent) -> ConsentState:
    """A number that is deactivated stays so, whatever becomes of a text to it. Its requests were the old owner's."""
    if state.is_deactivated:
        return state
    if event.error_code == DEACTIVATED_CODE:
        state = replace(state, requests={})
    return replace(state, unreachable_at_ms=event.at_ms, unreachable_code=event.error_code)


def _confirm_number(state: ConsentState, _event: LedgerEvent) -> ConsentState:
    """An unreachable number may have a new owner: if another account got it, the texts wait for START.

    Those of a deactivated number always do.
    """
    if state.is_deactivated:
        return _without_recipient(_reachable(state))
    return _reachable(state) if state.unreachable_at_ms is None else _without_doubtful_recipient(_reachable(state))


def _reachable(state: ConsentState) -> ConsentState:
    return replace(state, unreachable_at_ms=None, unreachable_code="")


def _assign(state: ConsentState, account_id: int, event: LedgerEvent) -> ConsentState:
    """Displace whoever had the texts, even if a pending decision had already stopped them."""
    displaced_id = state.displaced_id if state.recipient_id is None else state.recipient_id
    return replace(
        state,
        recipient_id=account_id,
        last_recipient_id=account_id,
        last_recipient_since_ms=event.at_ms,
        receiving_since_ms=event.at_ms,
        enabled_by_event_id=event.id,
        displaced_id=displaced_id if displaced_id != account_id else None,
        unassigned_start_id=None,
    )


_TRANSITIONS = {
    EventKind.ADDED: _add,
    EventKind.INVITED: _request,
    EventKind.REQUESTED: _request,
    EventKind.STOP: _stop,
    EventKind.START: _start,
    EventKind.OPT_IN: _opt_in,
    EventKind.MOVED: _move,
    EventKind.MERGED: _merge,
    EventKind.REMOVED: _remove,
    EventKind.UNREACHABLE: _unreachable,
    EventKind.CONFIRMED: _confirm_number,
}
