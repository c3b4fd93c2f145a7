"""Pause, resume and cancel a send. This takes effect at the next claim; the rows are updated in batches."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.messages.tables import lane_state
from portal.messages.tables.communications import Delivery
from portal.sends.rules.send_state import SendState
from portal.sends.tables import sends, state_sync
from portal.sends.tables.sends import ACTIVE_STATES, FANNING_OUT_STATES, FINISHED_STATES, Send
from portal.sends.tables.state_sync import ANY_TIME_MS

_CHANNELS = ("email", "sms")


def pause_send(send_id: int, actor_id: int | None, now_ms: int) -> None:
    """Raises `ActionRefused` if the send has ended or does not exist; so do the other two."""
    _change_send_state(send_id, "send_paused", actor_id, now_ms, paused_at_ms=now_ms)


def resume_send(send_id: int, actor_id: int | None, now_ms: int) -> None:
    _change_send_state(send_id, "send_resumed", actor_id, now_ms, paused_at_ms=None)


def cancel_send(send_id: int, actor_id: int | None, now_ms: int) -> None:
    """Cancel all waiting messages for good. Messages that have left are not affected."""
    _change_send_state(send_id, "send_canceled", actor_id, now_ms, state=SendState.CANCELED, finished_at_ms=now_ms)


def undo_send(send_id: int, actor_id: int, now_ms: int) -> None:
    """Cancel a send before anything of it exists. Raises `ActionRefused` once it has begun."""
    with transaction() as session:
        send = locked_send(session, send_id)
        if send.state != SendState.QUEUED or send.starts_at_ms <= now_ms:
            raise ActionRefused(_("This send has already begun, so it can’t be undone. You can pause or cancel it."))
        cancel_unstarted(send, now_ms)
        audit_log.record_audit_entry("send_undone", f"send {send_id}", actor_id, now_ms)


def cancel_unstarted(send: Send, now_ms: int) -> None:
    """There are no messages to cancel. Inside a transaction."""
    send.state = SendState.CANCELED
    send.finished_at_ms = send.cancel_applied_at_ms = now_ms


def archive_send(send_id: int, actor_id: int, now_ms: int) -> None:
    """Hide a finished send from the list. Raises `ActionRefused` for others."""
    _change_archive(send_id, "send_archived", actor_id, now_ms, now_ms)


def unarchive_send(send_id: int, actor_id: int, now_ms: int) -> None:
    _change_archive(send_id, "send_unarchived", actor_id, now_ms, None)


def apply_to_deliveries(
    send_id: int, clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Bring the send's waiting messages into its state. If stopped, `apply_all_pending` finishes it."""
    for channel in _CHANNELS:
        while not should_stop() and _move_batch(send_id, channel, clock()):
            pass
    with transaction():
        if not should_stop():
            query = update(Send).where(Send.id == send_id, Send.state == SendState.CANCELED)
            query = query.where(Send.cancel_applied_at_ms.is_(None))
            db.session.execute(query.values(cancel_applied_at_ms=clock()))
        sends.finish_sends(clock())
    for channel in _CHANNELS:
        queue.enqueue(settings().redis_url, f"drain_{channel}")


def apply_all_pending(clock: Callable[[], int]) -> None:
    """Finish what a worker left when it died."""
    send_ids = state_sync.out_of_sync_send_ids()
    db.session.rollback()
    for send_id in send_ids:
        apply_to_deliveries(send_id, clock)


def _change_send_state(send_id: int, action: str, actor_id: int | None, now_ms: int, **changes: object) -> None:
    """Does nothing, and writes no audit entry, if the send is already paused or running as requested."""
    with transaction() as session:
        send = locked_send(session, send_id)
        if send.state not in ACTIVE_STATES:
            raise ActionRefused(_("This send has already ended: none of its messages are waiting."))
        if "paused_at_ms" in changes and (send.paused_at_ms is None) == (changes["paused_at_ms"] is None):
            return
        for name, value in changes.items():
            setattr(send, name, value)
        audit_log.record_audit_entry(action, f"send {send_id}", actor_id, now_ms)
    queue.enqueue(settings().redis_url, "apply_send_control", send_id)


def _change_archive(send_id: int, action: str, actor_id: int, now_ms: int, archived_at_ms: int | None) -> None:
    """Does nothing if the send is already there."""
    with transaction() as session:
        send = locked_send(session, send_id)
        if send.state not in FINISHED_STATES:
            raise ActionRefused(_("Only a send that has ended can be archived. You can cancel it first."))
        if (send.archived_at_ms is None) == (archived_at_ms is None):
            return
        send.archived_at_ms = archived_at_ms
        audit_log.record_audit_entry(action, f"send {send_id}", actor_id, now_ms)


def locked_send(session: Session, send_id: int) -> Send:
    """Raises `ActionRefused` if there is no such send."""
    send = session.get(Send, send_id, with_for_update=True)
    if send is None:
        raise ActionRefused(_("There is no send %(id)s.", id=str(send_id)))
    return send


def _move_batch(send_id: int, channel: str, now_ms: int) -> bool:
    """Move one batch. False when nothing is left to move."""
    with transaction() as session:
        send = session.get_one(Send, send_id)
        target = sends.target_state(send.state, send.paused_at_ms)
        if target == DeliveryState.READY:
            return requeue_deliveries(send, channel, DeliveryState.PAUSED, now_ms)
        moved = [
            state_sync.move_deliveries(send_id, channel, state, target, now_ms, **_reset_columns(state, now_ms))
            for state in WAITING
            if state != target
        ]
        return any(moved)


def requeue_deliveries(send: Send, channel: str, state: str, now_ms: int, due_ms: int = ANY_TIME_MS) -> bool:
    """Make one batch ready again, behind the lane's current position so that it does not overtake waiting messages.

    Each batch continues behind the previous one. False when nothing is left. Call inside a transaction.
    """
    next_delivery = state_sync.next_delivery(send.id, channel, state, due_ms)
    if next_delivery is None:
        return False
    first_id, first_position = next_delivery
    lane_position = lane_state.lane_position(channel, send.lane)
    last_position = max(lane_position, state_sync.last_ready_position(send.id, channel, first_id))
    shift = max(0, last_position + 1 - first_position)
    changes = {"queue_position": Delivery.queue_position + shift, **_reset_columns(state, now_ms)}
    moved = state_sync.move_deliveries(send.id, channel, state, DeliveryState.READY, now_ms, due_ms, **changes)
    if send.state in FANNING_OUT_STATES:
        next_position = state_sync.last_ready_position(send.id, channel) + 1
        setattr(send, f"next_{channel}_position", max(getattr(send, f"next_{channel}_position") or 0, next_position))
    return moved > 0


def _reset_columns(state: str, now_ms: int) -> dict[str, Any]:
    """A text deferred by quiet hours becomes due at once, and the claim decides again."""
    return {"due_at_ms": now_ms, "reason": ""} if state == DeliveryState.DEFERRED else {}
