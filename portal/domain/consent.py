"""Who may be texted at a number, computed from its events in order of time (docs/consent-rules.md#consent-state).

Pure: events in, a standing out. The order of arrival does not matter; the order of time does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

INVITATION_OPEN_MS = 30 * 86_400_000
"""A START counts as the answer to a request (an invitation or a wish) of the last 30 days."""
LEARNED = "21610"
"""The code of a STOP that Twilio told us of: the handset said it at some time before, not when we learned it."""


class Kind(StrEnum):
    """What an event of the ledger says."""

    INVITED = "invited"
    WISHED = "wished"
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
class Event:
    """`at_ms` and `rank` say when; `carriers` are the accounts that had the number then.

    `sure` is false for a START whose place before or after a STOP is still being asked about. `lifts_no_stop` is true
    for one that counts only while no STOP stands: YES at a toll-free number (docs/consent-rules.md#toll-free-yes).
    """

    id: int
    kind: Kind
    at_ms: int
    account_id: int | None = None
    carriers: frozenset[int] = frozenset()
    rank: int = 0
    sure: bool = True
    lifts_no_stop: bool = False
    code: str = ""


@dataclass(frozen=True)
class Standing:
    """How a number stands. `holder` keeps it over a STOP, so that START gives the texts back to the same account.

    `enabled_by` is the event that enabled the texts, `stopped_by` the one that ended them; `invited` and `wished` map
    accounts to when they asked and have not been answered, `added` to when they got the number last. `displaced` lost
    the texts by the last change of holder. `last_held_ms` is since when the last holder has had them.
    """

    holder: int | None = None
    since_ms: int | None = None
    enabled_by: int | None = None
    stopped_ms: int | None = None
    stopped_by: int | None = None
    invited: Mapping[int, int] = field(default_factory=dict)
    wished: Mapping[int, int] = field(default_factory=dict)
    added: Mapping[int, int] = field(default_factory=dict)
    last_holder: int | None = None
    last_held_ms: int = 0
    displaced: int | None = None
    unreachable_ms: int | None = None
    unreachable_code: str = ""
    unanswered: int | None = None
    """The last START that gave no account the texts: somebody has to look at it."""

    @property
    def gets_texts(self) -> bool:
        return self.holder is not None and self.stopped_ms is None

    @property
    def asking(self) -> set[int]:
        return {*self.invited, *self.wished}


def standing(events: Iterable[Event]) -> Standing:
    """The standing after all events, in order of time; of two at the same moment, in order of rank and writing."""
    found = Standing()
    for event in in_order(events):
        found = after(found, event)
    return found


def in_order(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.at_ms, event.rank, event.id))


def after(now: Standing, event: Event) -> Standing:
    """The one step of the decision table."""
    step = _STEPS.get(event.kind)
    return step(now, event) if step else now


def invited_now(now: Standing, at_ms: int) -> dict[int, int]:
    """Accounts whose request for the number's texts is open, be it an invitation or a wish, and since when."""
    last = {account: max(now.invited.get(account, 0), now.wished.get(account, 0)) for account in now.asking}
    return {account: since for account, since in last.items() if at_ms - since <= INVITATION_OPEN_MS}


def added_since(events: Iterable[Event], account_id: int | None, since_ms: int) -> set[int]:
    """Other accounts that got the number after that moment, except those that got it when this account did."""
    added = [(event.account_id, event.at_ms) for event in events if event.kind == Kind.ADDED]
    together = {at_ms for account, at_ms in added if account == account_id}
    later = {account for account, at_ms in added if at_ms > since_ms and at_ms not in together}
    return {account for account in later if account not in (None, account_id)}


def _add(now: Standing, event: Event) -> Standing:
    """Paper may be older than the day on which the account got the number: the hold then counts from that day."""
    if event.account_id is None:
        return now
    held_ms = event.at_ms if event.account_id == now.holder else now.last_held_ms
    return replace(now, added={**now.added, event.account_id: event.at_ms}, last_held_ms=held_ms)


def _invite(now: Standing, event: Event) -> Standing:
    if event.account_id is None:
        return now
    return replace(now, invited={**now.invited, event.account_id: event.at_ms})


def _wish(now: Standing, event: Event) -> Standing:
    if event.account_id is None:
        return now
    return replace(now, wished={**now.wished, event.account_id: event.at_ms})


def _stop(now: Standing, event: Event) -> Standing:
    """STOP answers invitations, except one that Twilio told us of, which is older. Wishes wait for START.

    A number that is stopped already stays stopped since then.
    """
    invited = now.invited if event.code == LEARNED else {}
    if now.stopped_ms is not None:
        return replace(now, invited=invited)
    return replace(now, stopped_ms=event.at_ms, stopped_by=event.id, invited=invited)


def _start(now: Standing, event: Event) -> Standing:
    if now.stopped_ms is not None and not event.sure:
        return now
    if now.stopped_ms is not None and event.lifts_no_stop:
        return replace(now, unanswered=event.id)
    target = _start_target(now, event)
    free = replace(
        now, stopped_ms=None, stopped_by=None, invited={}, wished={}, unreachable_ms=None, unreachable_code=""
    )
    if target is None:
        return _ask(free, event)
    if target == now.holder and now.stopped_ms is None:
        return replace(free, unanswered=None)
    return _give(free, target, event)


def _start_target(now: Standing, event: Event) -> int | None:
    """The newest request, else the last holder, else the only account with it (docs/consent-rules.md#whom-start-means).

    Without a request nobody gets the texts once another account has got the number: it may have changed hands.
    """
    asked = {account: at for account, at in invited_now(now, event.at_ms).items() if account in event.carriers}
    if asked:
        return max(asked, key=lambda account: (asked[account], account))
    if now.last_holder is not None:
        account, since_ms = now.last_holder, now.last_held_ms
    elif len(event.carriers) == 1:
        (account,) = event.carriers
        since_ms = now.added.get(account, 0)
    else:
        return None
    return account if account in event.carriers and not _newer(now, account, since_ms) else None


def _newer(now: Standing, account_id: int | None, since_ms: int) -> set[int]:
    """Other accounts that got the number after that moment, also those that have left it again."""
    return {account for account, at_ms in now.added.items() if account != account_id and at_ms > since_ms}


def _ask(now: Standing, event: Event) -> Standing:
    """An administrator must decide which account this START meant.

    Nobody gets the texts until then if the number may have changed hands.
    """
    if now.holder is None or not _newer(now, now.last_holder, now.last_held_ms):
        return replace(now, unanswered=event.id)
    return replace(_nobody(now), unanswered=event.id)


def _nobody(now: Standing) -> Standing:
    return replace(now, holder=None, since_ms=None, enabled_by=None, displaced=now.holder)


def _opt_in(now: Standing, event: Event) -> Standing:
    """Paper cannot clear a STOP: only START from the handset does (docs/consent-rules.md#only-start-reopens)."""
    if event.account_id is None or event.account_id == now.holder:
        return now
    return _give(now, event.account_id, event)


def _move(now: Standing, event: Event) -> Standing:
    """Only what the handset agreed to can be moved: texts it gets, or a START that no account could be found for."""
    agreed = now.stopped_ms is None and (now.holder is not None or now.unanswered is not None)
    if event.account_id is None or event.account_id == now.holder or not agreed:
        return now
    return _give(now, event.account_id, event)


def _remove(now: Standing, event: Event) -> Standing:
    """Who takes the number off their account has no request and no texts there any more."""
    gone = event.account_id
    left = replace(
        now,
        invited={account: at for account, at in now.invited.items() if account != gone},
        wished={account: at for account, at in now.wished.items() if account != gone},
        displaced=None if gone in (now.holder, now.displaced) else now.displaced,
    )
    return left if now.holder != gone else replace(left, holder=None, since_ms=None, enabled_by=None)


def _unreachable(now: Standing, event: Event) -> Standing:
    return replace(now, unreachable_ms=event.at_ms, unreachable_code=event.code)


def _confirm(now: Standing, _event: Event) -> Standing:
    """A dead number may have a new owner: if another account got it, the texts wait for START."""
    free = replace(now, unreachable_ms=None, unreachable_code="")
    if now.unreachable_ms is None or now.holder is None or not _newer(now, now.last_holder, now.last_held_ms):
        return free
    return _nobody(free)


def _give(now: Standing, account_id: int, event: Event) -> Standing:
    """Whoever had the texts is displaced, also if they have waited for a decision since."""
    lost = now.displaced if now.holder is None else now.holder
    return replace(
        now,
        holder=account_id,
        last_holder=account_id,
        last_held_ms=event.at_ms,
        since_ms=event.at_ms,
        enabled_by=event.id,
        displaced=lost if lost != account_id else None,
        unanswered=None,
    )


_STEPS = {
    Kind.ADDED: _add,
    Kind.INVITED: _invite,
    Kind.WISHED: _wish,
    Kind.STOP: _stop,
    Kind.START: _start,
    Kind.OPT_IN: _opt_in,
    Kind.MOVED: _move,
    Kind.REMOVED: _remove,
    Kind.UNREACHABLE: _unreachable,
    Kind.CONFIRMED: _confirm,
}
