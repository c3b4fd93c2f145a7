"""Pausing, resuming and cancelling a send. It takes effect with the next claim; the rows follow, a part at a time."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import update

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.messages.tables import lane_state
from portal.messages.tables.communications import Delivery
from portal.sends.tables import sends, state_sync
from portal.sends.tables.sends import ACTIVE_STATES, FANNING_OUT_STATES, Send
from portal.sends.tables.state_sync import ANY_TIME_MS

_CHANNELS = ("email", "sms")


def pause_send(send_id: int, actor_id: int | None, now_ms: int) -> None:
    """Raises `Refused` when there is nothing left to pause."""
    _change_send_state(send_id, "send_paused", actor_id, now_ms, paused_at_ms=now_ms)


def resume_send(send_id: int, actor_id: int | None, now_ms: int) -> None:
    _change_send_state(send_id, "send_resumed", actor_id, now_ms, paused_at_ms=None)


def cancel_send(send_id: int, actor_id: int | None, now_ms: int) -> None:
    """What has left has left; all that waits is cancelled for good. Raises `Refused`."""
    _change_send_state(send_id, "send_canceled", actor_id, now_ms, state="canceled", finished_at_ms=now_ms)


def apply_to_deliveries(
    send_id: int, clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Move the send's waiting messages to where the send wants them. Stopped half-way, it is begun again later."""
    for channel in _CHANNELS:
        while not should_stop() and _move_batch(send_id, channel, clock()):
            pass
    with transaction():
        done = update(Send).where(Send.id == send_id, Send.state == "canceled", Send.cancel_applied_at_ms.is_(None))
        if not should_stop():
            db.session.execute(done.values(cancel_applied_at_ms=clock()))
        sends.finish_sends(clock())
    for channel in _CHANNELS:
        queue.enqueue(settings().redis_url, f"drain_{channel}")


def apply_all_pending(clock: Callable[[], int]) -> None:
    """Whatever a worker that died has left half-way."""
    unsteered = state_sync.out_of_sync_send_ids()
    db.session.rollback()
    for send_id in unsteered:
        apply_to_deliveries(send_id, clock)


def _change_send_state(send_id: int, action: str, actor_id: int | None, now_ms: int, **changes: object) -> None:
    """What is so already stays as it is, without another line in the audit log."""
    with transaction() as session:
        send = session.get(Send, send_id, with_for_update=True)
        if send is None:
            raise ActionRefused(f"There is no send {send_id}.")
        if send.state not in ACTIVE_STATES:
            raise ActionRefused("This send has ended already: nothing of it waits any more.")
        if "paused_at_ms" in changes and (send.paused_at_ms is None) == (changes["paused_at_ms"] is None):
            return
        for name, value in changes.items():
            setattr(send, name, value)
        audit_log.record_audit_entry(action, f"send {send_id}", actor_id, now_ms)
    queue.enqueue(settings().redis_url, "apply_send_control", send_id)


def _move_batch(send_id: int, channel: str, now_ms: int) -> bool:
    """One part; False when nothing is left to move."""
    with transaction() as session:
        send = session.get_one(Send, send_id)
        to = sends.target_state(send.state, send.paused_at_ms)
        if to == "ready":
            return requeue_deliveries(send, channel, "paused", now_ms)
        others = [state for state in WAITING if state != to]
        return any(
            [
                state_sync.move_deliveries(send_id, channel, state, to, now_ms, **_reset_columns(state, now_ms))
                for state in others
            ]
        )


def requeue_deliveries(send: Send, channel: str, state: str, now_ms: int, due_ms: int = ANY_TIME_MS) -> bool:
    """One part of what stood still goes on, behind where its lane has got to: it does not overtake those that waited.

    One part begins where the one before it ended, or else the send would take several turns at once. Inside a
    transaction; False when nothing is left.
    """
    next_delivery = state_sync.next_delivery(send.id, channel, state, due_ms)
    if next_delivery is None:
        return False
    first_id, first_turn = next_delivery
    lane_turn = lane_state.lane_position(channel, 0 if send.version.urgent else 1)
    behind = max(lane_turn, state_sync.last_ready_position(send.id, channel, first_id))
    ahead = max(0, behind + 1 - first_turn)
    anew = _reset_columns(state, now_ms)
    moved = state_sync.move_deliveries(
        send.id, channel, state, "ready", now_ms, due_ms, queue_position=Delivery.queue_position + ahead, **anew
    )
    if send.state in FANNING_OUT_STATES:
        next_turn = state_sync.last_ready_position(send.id, channel) + 1
        setattr(send, f"next_{channel}_position", max(getattr(send, f"next_{channel}_position") or 0, next_turn))
    return moved > 0


def _reset_columns(state: str, now_ms: int) -> dict[str, Any]:
    """What waited for the end of quiet hours is looked at anew by whoever claims it."""
    return {"due_at_ms": now_ms, "reason": ""} if state == "deferred" else {}
