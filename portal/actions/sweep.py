"""What the scheduler does at every turn: ring for what was left behind, settle what is in doubt.

Whatever Twilio is asked stands apart: it may take minutes to answer, and nothing else must wait for that.
"""

from collections.abc import Callable, Sequence

import structlog

from portal.actions import night
from portal.actions.expansion import unfinished_send_ids
from portal.actions.inbound_order import fetch_missed_inbound, resolve_uncertain_order
from portal.actions.night_audit import audit_yesterday
from portal.actions.receipts import apply_orphans
from portal.actions.reconcile import ask_for_receipts, settle_mails, settle_unknown
from portal.actions.send_control import apply_all_pending
from portal.actions.tide import keep_time
from portal.actions.transaction import transaction
from portal.clock import now_ms
from portal.context import settings
from portal.extensions import db
from portal.gateways import queue
from portal.gateways.provider import NotAnswered
from portal.models import claims, due
from portal.models.gateway import Heartbeat, Lease, end_lease, lease_holder, take_lease
from portal.models.upsert import put

_LEASE = "scheduler"
_log = structlog.get_logger(__name__)
_Step = Callable[[], None]


def tidy_up(clock: Callable[[], int] = now_ms) -> None:
    """What needs nobody but ourselves. Ringing first: what can go must not wait for what is slower."""
    steps: tuple[_Step, ...] = (
        lambda: keep_time(clock()),
        lambda: night.wake(clock),
        lambda: ring_for_waiting(clock()),
        lambda: expire(clock()),
        lambda: apply_all_pending(clock),
        lambda: apply_orphans(clock()),
        lambda: settle_mails(clock()),
    )
    _take(steps)


def ask_twilio(clock: Callable[[], int] = now_ms) -> None:
    """What Twilio knows and we do not."""
    steps: tuple[_Step, ...] = (
        lambda: resolve_uncertain_order(clock),
        lambda: fetch_missed_inbound(clock),
        lambda: settle_unknown(clock),
        lambda: ask_for_receipts(clock),
        lambda: audit_yesterday(clock),
    )
    _take(steps)


def _take(steps: Sequence[_Step]) -> None:
    """One after the other; a step that fails does not keep the others."""
    for step in steps:
        try:
            step()
        except NotAnswered as error:
            _log.warning("Twilio could not be asked; the next turn tries again", error=str(error))
        except Exception:
            _log.exception("a step of the sweep failed; the next turn tries again")
        finally:
            db.session.remove()


def expire(at_ms: int) -> None:
    with transaction():
        claims.expire_leases(at_ms)
        claims.finish_sends(at_ms)


def ring_for_waiting(at_ms: int) -> None:
    """The queue may have forgotten everything; the database has not."""
    redis_url = settings().redis_url
    first = {channel: due.next_waiting_ms(channel) for channel in ("email", "sms")}
    db.session.rollback()
    for send_id in unfinished_send_ids():
        queue.ring(redis_url, "fan_out_send", send_id)
    for channel, next_ms in first.items():
        if next_ms is not None and next_ms <= at_ms:
            queue.ring(redis_url, f"drain_{channel}")


def lead(holder: str, seconds: float, at_ms: int, has_ended: Callable[[str], bool] = lambda _holder: False) -> bool:
    """True while this scheduler is the one that sweeps: of several, the one that holds the lease.

    `has_ended` tells of another holder whether it is certainly gone; then its lease need not be waited for.
    """
    with transaction():
        former = lease_holder(_LEASE)
        if former not in (None, holder) and has_ended(former):
            end_lease(_LEASE, former)
        return take_lease(Lease(name=_LEASE, holder=holder, until_ms=at_ms + round(seconds * 1000)), at_ms)


def step_down(holder: str) -> None:
    """A scheduler that stops leaves its place to the next one at once."""
    with transaction():
        end_lease(_LEASE, holder)


def beat(name: str, kind: str, at_ms: int) -> None:
    """Record a heartbeat for the readiness page, independent of the queue (docs/reliability.md#heartbeats)."""
    with transaction():
        put(Heartbeat, {"name": name, "kind": kind, "at_ms": at_ms}, ["name"])
