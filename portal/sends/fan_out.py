"""Fan-out: turn a send into one communication per account, with an email and a text or the reason for no text.

Each chunk is one transaction that also advances the send's cursor; unique indexes make a second run harmless.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from portal.accounts.tables.accounts import Recipient
from portal.accounts.tables.attributes import with_attributes
from portal.content.links import new_link_token
from portal.content.message_templates import attribute_fields
from portal.content.rendering import RenderedMessage, render_message
from portal.content.rules.merge_fields import MergeError
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.rules.routing import RoutingDecision, TextKind
from portal.core.statements import bulk_insert
from portal.core.transaction import transaction
from portal.gateways import job_reports, queue
from portal.messages import restore_check
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.lane_state import lane_position
from portal.sends.send_preview import decide_recipients, routing_query
from portal.sends.tables import audience as audiences
from portal.sends.tables import recipient_files, sends
from portal.sends.tables.sends import FANNING_OUT_STATES, Send

CHUNK_SIZE = 1_000
"""Recipients per commit. A commit of this size locks SQLite for about 20 ms."""
_NEW_SEND_MS = 60_000


@dataclass(frozen=True)
class FanOutChunk:
    """The rows of one chunk, built before the transaction so that the lock is held only briefly."""

    send_id: int
    account_ids: list[int]
    communications: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    next_positions: dict[str, int]


def fan_out_send(
    send_id: int, clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False, seconds: float = 20.0
) -> None:
    """Continue from the send's cursor for about `seconds`; stop early for a new send, so that it begins at once."""
    if not restore_check.restore_check_passed(clock()):
        return
    ends_ms = clock() + round(seconds * 1000)
    redis_url, total = settings().redis_url, _audience_size(send_id)
    while _fan_out_chunk(send_id, clock()):
        queue.enqueue(redis_url, "drain_email")
        queue.enqueue(redis_url, "drain_sms")
        job_reports.report_progress(redis_url, _recipients_so_far(send_id), total, "recipients")
        if should_stop() or clock() >= ends_ms or _has_waiting_send(send_id, clock()):
            return
    with transaction():
        sends.finish_sends(clock())


def _audience_size(send_id: int) -> int:
    send = db.session.get(Send, send_id)
    size = audiences.count_recipients(send.audience) if send else 0
    db.session.rollback()
    return size


def _recipients_so_far(send_id: int) -> int:
    recipients = db.session.scalar(select(Send.recipients).where(Send.id == send_id))
    db.session.rollback()
    return recipients or 0


def unfinished_send_ids() -> list[int]:
    """Sends whose fan-out has not finished."""
    send_ids = [send_id for state in FANNING_OUT_STATES for send_id in sends.send_ids_in_state(state)]
    db.session.rollback()
    return send_ids


def _has_waiting_send(send_id: int, now_ms: int) -> bool:
    """Only recent sends count: one that fails at its first chunk must not hold up the others forever."""
    is_waiting = sends.has_newer_queued_send(send_id, now_ms - _NEW_SEND_MS)
    db.session.rollback()
    return is_waiting


def _fan_out_chunk(send_id: int, now_ms: int) -> bool:
    """Write one chunk. False when there is nothing left to fan out."""
    send = db.session.get(Send, send_id, populate_existing=True)
    if send is None or send.state not in FANNING_OUT_STATES:
        db.session.rollback()
        return False
    accounts = audiences.recipients_after(send.audience, send.fan_out_cursor, CHUNK_SIZE)
    chunk = _build_chunk(send, accounts, now_ms) if accounts else None
    after_id = send.fan_out_cursor
    with transaction():
        if chunk is None:
            sends.finish_fan_out(send_id, after_id, now_ms)
            return False
        # if another worker has written this chunk in the meantime, drop ours
        if sends.advance_fan_out(send_id, after_id, chunk.account_ids[-1], len(accounts), chunk.next_positions):
            _insert(chunk)
    return True


def _build_chunk(send: Send, accounts: list[Recipient], now_ms: int) -> FanOutChunk:
    positions = _next_positions(send)
    communications: list[dict[str, Any]] = []
    deliveries: list[dict[str, Any]] = []
    version, query = send.version, routing_query(send.version, send.created_at_ms, now_ms)
    accounts = with_attributes(accounts, attribute_fields(version))
    decisions, shared = decide_recipients(accounts, query), _shared_columns(send, now_ms)
    ids = [account.id for account in accounts]
    values = recipient_files.values_by_account(send.audience, send.data, ids)
    for account, decision in decisions:
        token = new_link_token()
        common = shared | {"account_id": account.id, "queue_position": positions["next_sms_position"]}
        email = common | {"channel": "email", "state": DeliveryState.READY, "address": account.email}
        email["queue_position"] = positions["next_email_position"]
        try:
            rendered = render_message(version, account, values[account.id], token)
            text = _sms_columns(decision, rendered.text, rendered.segments)
            deliveries += [email, common | text | {"sms_expires_at_ms": query.sms_expires_at_ms}]
        except MergeError as error:
            # one recipient's values must not block the others: the error appears in place of the message
            rendered = RenderedMessage(version.template.name, f"This message could not be created. {error}", "", 0)
            reason = f"The template could not be filled in for this account: {error}"
            failed = {"state": DeliveryState.REJECTED, "reason": reason}
            deliveries += [email | failed, common | {"channel": "sms", "address": decision.phone} | failed]
        content = {"subject": rendered.subject, "body": rendered.body, "token": token, "kind": TextKind.NOTIFICATION}
        communications.append({"send_id": send.id, "account_id": account.id, "created_at_ms": now_ms, **content})
        # a text that is not sent takes no queue position
        positions["next_email_position"] += 1
        positions["next_sms_position"] += decision.will_send
    if send.paused_at_ms is not None:
        paused = {"state": DeliveryState.PAUSED, "reason": "", "due_at_ms": now_ms}
        deliveries = [row | paused if row["state"] in WAITING else row for row in deliveries]
    return FanOutChunk(send.id, ids, communications, deliveries, positions)


def _next_positions(send: Send) -> dict[str, int]:
    """Never before the current position of the lane, so that the send takes turns."""
    return {
        "next_email_position": max(send.next_email_position or 0, lane_position("email", send.lane) + 1),
        "next_sms_position": max(send.next_sms_position or 0, lane_position("sms", send.lane) + 1),
    }


def _insert(chunk: FanOutChunk) -> None:
    bulk_insert(Communication, chunk.communications, ["send_id", "account_id"])
    query = select(Communication.account_id, Communication.id).where(
        Communication.send_id == chunk.send_id, Communication.account_id.in_(chunk.account_ids)
    )
    ids = dict(db.session.execute(query).all())
    for row in chunk.deliveries:
        row["communication_id"] = ids[row.pop("account_id")]
    bulk_insert(Delivery, chunk.deliveries, ["communication_id", "channel"])


def _shared_columns(send: Send, now_ms: int) -> dict[str, Any]:
    """The columns of `delivery` that are the same for all recipients, and blank ones."""
    times = dict.fromkeys(("due_at_ms", "state_changed_at_ms", "created_at_ms"), now_ms)
    blank = {"reason": "", "body": "", "segments": 0, "attempt_count": 0, "error_code": "", "sms_expires_at_ms": None}
    return {"send_id": send.id, "lane": send.lane, **times, **blank}


def _sms_columns(decision: RoutingDecision, body: str, segments: int) -> dict[str, Any]:
    row: dict[str, Any] = {"channel": "sms", "address": decision.phone}
    if not decision.will_send:
        return row | {"state": DeliveryState.SKIPPED, "reason": str(decision.reason)}
    row |= {"body": body, "segments": segments}
    if decision.deferred_until_ms is None:
        return row | {"state": DeliveryState.READY}
    row |= {"state": DeliveryState.DEFERRED, "due_at_ms": decision.deferred_until_ms}
    return row | {"reason": str(decision.reason)}
