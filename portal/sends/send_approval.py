"""Approval: a send to many people begins only after a second administrator has looked at it."""

from collections.abc import Iterator
from contextlib import contextmanager

from portal.accounts.rules.access_rules import decision_problem, withdrawal_problem
from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.sends import send_preview
from portal.sends.rules.send_state import SendState
from portal.sends.send_control import cancel_unstarted, locked_send
from portal.sends.send_creation import starts_at_ms
from portal.sends.tables.sends import Send

MAX_REASON_LENGTH = 500


def approve_send(
    send_id: int, actor_id: int, now_ms: int, undo_seconds: int = 0, is_late_accepted: bool = False
) -> None:
    """Let the send begin. Raises `ActionRefused` for its author, and if somebody else has decided.

    Also if it is late, unless that `is_late_accepted`.
    """
    planned_texts = _count_texts(send_id, now_ms)
    detail = {"late": "accepted"} if is_late_accepted else {}
    with _decision(send_id, "send_approved", actor_id, now_ms, **detail) as send:
        _refuse_author(send, actor_id)
        if is_late(send, now_ms) and not is_late_accepted:
            raise ActionRefused(late_message())
        send.state, send.planned_texts = SendState.QUEUED, planned_texts
        send.approved_by_id, send.approved_at_ms = actor_id, now_ms
        send.starts_at_ms = starts_at_ms(send.version, now_ms, undo_seconds) or now_ms
        begins_at_once = send.starts_at_ms <= now_ms
    if begins_at_once:
        queue.enqueue(settings().redis_url, "fan_out_send", send_id)


def is_late(send: Send, now_ms: int) -> bool:
    return send.start_deadline_ms is not None and now_ms > send.start_deadline_ms


def late_message() -> str:
    return _("This send has become too late for its schedule. Confirm that it is to go out late, or decline it.")


def decline_send(send_id: int, reason: str, actor_id: int, now_ms: int) -> None:
    """End the send before it begins. Raises `InvalidInput` for `reason`, and as `approve_send` does."""
    reason = text_input.clean_lines(reason).strip()
    if problem := _reason_problem(reason):
        raise InvalidInput({"reason": problem})
    with _decision(send_id, "send_declined", actor_id, now_ms, reason=reason) as send:
        _refuse_author(send, actor_id)
        cancel_unstarted(send, now_ms)


def withdraw_send(send_id: int, actor_id: int, now_ms: int) -> None:
    """The author takes the send back. Raises `ActionRefused` for others, and if somebody else has decided."""
    with _decision(send_id, "send_withdrawn", actor_id, now_ms) as send:
        if problem := withdrawal_problem(send.created_by_id, actor_id):
            raise ActionRefused(problem)
        cancel_unstarted(send, now_ms)


def supersede_send(send_id: int, now_ms: int) -> None:
    """A later run of the same schedule takes its place. Raises `ActionRefused` if somebody has decided."""
    with _decision(send_id, "send_superseded", None, now_ms) as send:
        cancel_unstarted(send, now_ms)


@contextmanager
def _decision(send_id: int, action: str, actor_id: int | None, now_ms: int, **detail: str) -> Iterator[Send]:
    """The lock lets one of several administrators decide; the others are refused."""
    with transaction() as session:
        send = locked_send(session, send_id)
        if send.state != SendState.AWAITING_APPROVAL:
            raise ActionRefused(_("This send no longer waits for approval: somebody has decided in the meantime."))
        yield send
        audit_log.record_audit_entry(action, f"send {send_id}", actor_id, now_ms, **detail)


def _refuse_author(send: Send, actor_id: int) -> None:
    if problem := decision_problem(send.created_by_id, actor_id):
        raise ActionRefused(problem)


def _reason_problem(reason: str) -> str:
    if not reason:
        return _("Enter a reason, so that the author knows what to change.")
    if len(reason) <= MAX_REASON_LENGTH:
        return ""
    values = {"limit": MAX_REASON_LENGTH, "length": len(reason)}
    return _("Use %(limit)s characters or fewer. You have used %(length)s.", **values)


def _count_texts(send_id: int, now_ms: int) -> int | None:
    """Counted anew, because people may have replied STOP since the send was made."""
    send = db.session.get(Send, send_id)
    return None if send is None else send_preview.count_audience(send.version, send.audience, send.data, now_ms).texts
