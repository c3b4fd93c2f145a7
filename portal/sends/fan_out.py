"""Fan-out: turn a send into one communication per account, with an email and a text or the reason for no text.

Each chunk is one transaction that also advances the send's cursor; unique indexes make a second run harmless.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from portal.accounts.tables.accounts import Recipient
from portal.accounts.tables.attributes import with_attributes
from portal.content.links import communication_url, new_link_tokens
from portal.content.message_templates import attribute_fields, draft_of
from portal.content.rendering import RenderedMessage, render_message
from portal.content.rules.merge_fields import MergeError
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.rules.routing import RoutingDecision, TextKind
from portal.core.statements import insert_tuples
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


_COMMUNICATION_COLUMNS = ("send_id", "account_id", "kind", "created_at_ms", "token", "subject", "body")
_COMMON_COLUMNS = (
    *("send_id", "lane", "attempt_count", "error_code", "created_at_ms", "state_changed_at_ms"),
    *("due_at_ms", "sms_expires_at_ms"),
)
"""Of `delivery`: the same for all emails of a chunk, and for all its texts but those that wait for a later hour."""
_DELIVERY_COLUMNS = (
    *("communication_id", "channel", "address", "state", "reason", "body", "segments", "queue_position"),
    *_COMMON_COLUMNS,
)
# Plain strings, because a database driver converts each member of an enum by itself, at a multiple of the time.
_READY, _SKIPPED, _DEFERRED = (
    state.value for state in (DeliveryState.READY, DeliveryState.SKIPPED, DeliveryState.DEFERRED)
)
_REJECTED, _NOTIFICATION = DeliveryState.REJECTED.value, TextKind.NOTIFICATION.value

_Row = tuple[Any, ...]


@dataclass(frozen=True)
class FanOutChunk:
    """The rows of one chunk, built before the transaction so that the lock is held only briefly.

    A delivery begins with the id of its account in place of its communication, which has no id yet.
    """

    send_id: int
    account_ids: list[int]
    communications: list[_Row]
    deliveries: list[_Row]
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


def unfinished_send_ids(now_ms: int) -> list[int]:
    """Sends that have begun and whose fan-out has not finished."""
    send_ids = [send_id for state in FANNING_OUT_STATES for send_id in sends.started_send_ids(state, now_ms)]
    db.session.rollback()
    return send_ids


def _has_waiting_send(send_id: int, now_ms: int) -> bool:
    """Only recent sends count: one that fails at its first chunk must not hold up the others forever."""
    is_waiting = sends.has_newer_queued_send(send_id, now_ms - _NEW_SEND_MS, now_ms)
    db.session.rollback()
    return is_waiting


def _fan_out_chunk(send_id: int, now_ms: int) -> bool:
    """Write one chunk. False when there is nothing left to fan out."""
    send = db.session.get(Send, send_id, populate_existing=True)
    if send is None or send.state not in FANNING_OUT_STATES or send.starts_at_ms > now_ms:
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
    email_position, sms_position = positions["next_email_position"], positions["next_sms_position"]
    communications: list[_Row] = []
    deliveries: list[_Row] = []
    query = routing_query(send.version, send.begins_at_ms, now_ms)
    accounts = with_attributes(accounts, attribute_fields(send.version))
    ids = [account.id for account in accounts]
    values = recipient_files.values_by_account(send.audience, send.data, ids)
    template, send_id = draft_of(send.version), send.id  # reading a column of a mapped object so often costs
    common = (send_id, send.lane.value, 0, "", now_ms, now_ms)
    due_now, expires_at_ms = (*common, now_ms, None), query.sms_expires_at_ms
    tokens, link_start = new_link_tokens(len(accounts)), communication_url("")
    for token, (account, decision) in zip(tokens, decide_recipients(accounts, query), strict=True):
        email = account.id, "email", account.email
        try:
            rendered = render_message(template, account, values[account.id], token, link_start)
            deliveries.append((*email, _READY, "", "", 0, email_position, *due_now))
            deliveries.append(
                (
                    *_sms_columns(account.id, decision, rendered),
                    sms_position,
                    *common,
                    decision.deferred_until_ms or now_ms,
                    expires_at_ms,
                )
            )
        except MergeError as error:
            # one recipient's values must not block the others: the error appears in place of the message
            rendered = RenderedMessage(template.name, f"This message could not be created. {error}", "", 0)
            failed = _REJECTED, f"The template could not be filled in for this account: {error}", "", 0
            deliveries.append((*email, *failed, email_position, *due_now))
            deliveries.append((account.id, "sms", decision.phone, *failed, sms_position, *due_now))
        content = token, rendered.subject, rendered.body
        communications.append((send_id, account.id, _NOTIFICATION, now_ms, *content))
        # a text that is not sent takes no queue position
        email_position += 1
        sms_position += decision.will_send
    if send.paused_at_ms is not None:
        deliveries = [_as_paused(row, now_ms) for row in deliveries]
    next_positions = {"next_email_position": email_position, "next_sms_position": sms_position}
    return FanOutChunk(send_id, ids, communications, deliveries, next_positions)


def _as_paused(row: _Row, now_ms: int) -> _Row:
    columns = dict(zip(_DELIVERY_COLUMNS, row, strict=True))
    if columns["state"] in WAITING:
        columns |= {"state": DeliveryState.PAUSED.value, "reason": "", "due_at_ms": now_ms}
    return tuple(columns.values())


def _next_positions(send: Send) -> dict[str, int]:
    """Never before the current position of the lane, so that the send takes turns."""
    return {
        "next_email_position": max(send.next_email_position or 0, lane_position("email", send.lane) + 1),
        "next_sms_position": max(send.next_sms_position or 0, lane_position("sms", send.lane) + 1),
    }


def _insert(chunk: FanOutChunk) -> None:
    insert_tuples(Communication, _COMMUNICATION_COLUMNS, chunk.communications, ["send_id", "account_id"])
    query = select(Communication.account_id, Communication.id).where(
        Communication.send_id == chunk.send_id,
        Communication.account_id.between(chunk.account_ids[0], chunk.account_ids[-1]),
    )
    ids = dict(db.session.connection().execute(query).all())
    deliveries = [(ids[row[0]], *row[1:]) for row in chunk.deliveries]
    insert_tuples(Delivery, _DELIVERY_COLUMNS, deliveries, ["communication_id", "channel"])


def _sms_columns(account_id: int, decision: RoutingDecision, rendered: RenderedMessage) -> _Row:
    """From the account id to the segments."""
    reason = decision.reason.value if decision.reason else ""
    if not decision.will_send:
        return account_id, "sms", decision.phone, _SKIPPED, reason, "", 0
    state = _READY if decision.deferred_until_ms is None else _DEFERRED
    return account_id, "sms", decision.phone, state, reason, rendered.text, rendered.segments
