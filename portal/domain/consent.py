"""Who may be texted at a number, derived from what happened there in order of time (DESIGN.md 3, rules 4-6).

Pure: events in, a standing out. The order of arrival does not matter; the order of time does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

INVITATION_OPEN_MS = 30 * 86_400_000
"""A START counts as the answer to an invitation of the last 30 days."""


class Kind(StrEnum):
    """What an event of the ledger says."""

    INVITED = "invited"
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


@dataclass(frozen=True)
class Event:
    """`at_ms` and `rank` say when; `carriers` are the accounts that had the number then.

    `sure` is false for a START whose place before or after a STOP is still being asked about. `lifts_no_stop` is true
    for one that counts only where no STOP stands: YES at a toll-free number (TWILIO.md 4).
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

    `enabled_by` is the event that enabled the texts, `stopped_by` the one that ended them; `invited` maps accounts
    to when they were invited and have not been answered. `displaced` lost the texts by the last change of holder.
    """

    holder: int | None = None
    since_ms: int | None = None
    enabled_by: int | None = None
    stopped_ms: int | None = None
    stopped_by: int | None = None
    invited: Mapping[int, int] = field(default_factory=dict)
    last_holder: int | None = None
    displaced: int | None = None
    unreachable_ms: int | None = None
    unreachable_code: str = ""
    unanswered: int | None = None
    """The last START that gave no account the texts: somebody has to look at it."""

    @property
    def gets_texts(self) -> bool:
        return self.holder is not None and self.stopped_ms is None


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
    """Accounts whose invitation is open, and since when."""
    return {account: since for account, since in now.invited.items() if at_ms - since <= INVITATION_OPEN_MS}


def _invite(now: Standing, event: Event) -> Standing:
    if event.account_id is None:
        return now
    return replace(now, invited={**now.invited, event.account_id: event.at_ms})


def _stop(now: Standing, event: Event) -> Standing:
    """Whoever was invited has been answered too. A number that is stopped already stays stopped since then."""
    if now.stopped_ms is not None:
        return replace(now, invited={})
    return replace(now, stopped_ms=event.at_ms, stopped_by=event.id, invited={})


def _start(now: Standing, event: Event) -> Standing:
    if now.stopped_ms is not None and not event.sure:
        return now
    if now.stopped_ms is not None and event.lifts_no_stop:
        return replace(now, unanswered=event.id)
    target = _start_target(now, event)
    free = replace(now, stopped_ms=None, stopped_by=None, invited={}, unreachable_ms=None, unreachable_code="")
    if target is None:
        return replace(free, unanswered=event.id)
    if target == now.holder and now.stopped_ms is None:
        return replace(free, unanswered=None)
    return _give(free, target, event)


def _start_target(now: Standing, event: Event) -> int | None:
    """Rule 6: the newest invitation, else the last holder, else the only account that carries the number."""
    invited = {account: at for account, at in invited_now(now, event.at_ms).items() if account in event.carriers}
    if invited:
        return max(invited, key=lambda account: (invited[account], account))
    if now.last_holder is not None:
        return now.last_holder if now.last_holder in event.carriers else None
    return next(iter(event.carriers)) if len(event.carriers) == 1 else None


def _opt_in(now: Standing, event: Event) -> Standing:
    """Paper cannot lift a STOP: only START from the handset does (rule 5)."""
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
    """Who takes the number off their account has no invitation and no texts there any more."""
    invited = {account: at for account, at in now.invited.items() if account != event.account_id}
    if now.holder != event.account_id:
        return replace(now, invited=invited)
    return replace(now, invited=invited, holder=None, since_ms=None, enabled_by=None)


def _unreachable(now: Standing, event: Event) -> Standing:
    return replace(now, unreachable_ms=event.at_ms, unreachable_code=event.code)


def _confirm(now: Standing, _event: Event) -> Standing:
    return replace(now, unreachable_ms=None, unreachable_code="")


def _give(now: Standing, account_id: int, event: Event) -> Standing:
    displaced = now.holder if now.holder != account_id else None
    return replace(
        now,
        holder=account_id,
        last_holder=account_id,
        since_ms=event.at_ms,
        enabled_by=event.id,
        displaced=displaced,
        unanswered=None,
    )


_STEPS = {
    Kind.INVITED: _invite,
    Kind.STOP: _stop,
    Kind.START: _start,
    Kind.OPT_IN: _opt_in,
    Kind.MOVED: _move,
    Kind.REMOVED: _remove,
    Kind.UNREACHABLE: _unreachable,
    Kind.CONFIRMED: _confirm,
}
