"""Fan-out: turn a send into one communication per account, with an email and a text or the reason for no text.

Each chunk is one transaction that also advances the send's cursor; unique indexes make a second run harmless.
"""

from collections.abc import Callable

from sqlalchemy import select

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.statements import insert_tuples
from portal.core.transaction import transaction
from portal.gateways import job_reports, queue
from portal.messages import restore_check
from portal.messages.tables.communications import Communication, Delivery
from portal.sends.fan_out_rows import COMMUNICATION_COLUMNS, DELIVERY_COLUMNS, FanOutChunk, build_chunk
from portal.sends.tables import audience as audiences
from portal.sends.tables import sends
from portal.sends.tables.sends import FANNING_OUT_STATES, Send

CHUNK_SIZE = 1_000
"""Recipients per commit. A commit of this size locks SQLite for about 20 ms."""
_NEW_SEND_MS = 60_000


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
    chunk = build_chunk(send, accounts, now_ms) if accounts else None
    after_id = send.fan_out_cursor
    with transaction():
        if chunk is None:
            sends.finish_fan_out(send_id, after_id, now_ms)
            return False
        # if another worker has written this chunk in the meantime, drop ours
        if sends.advance_fan_out(send_id, after_id, chunk.account_ids[-1], len(accounts), chunk.next_positions):
            _insert(chunk)
    return True


def _insert(chunk: FanOutChunk) -> None:
    insert_tuples(Communication, COMMUNICATION_COLUMNS, chunk.communications, ["send_id", "account_id"])
    query = select(Communication.account_id, Communication.id).where(
        Communication.send_id == chunk.send_id,
        Communication.account_id.between(chunk.account_ids[0], chunk.account_ids[-1]),
    )
    ids = dict(db.session.connection().execute(query).all())
    deliveries = [(ids[row[0]], *row[1:]) for row in chunk.deliveries]
    insert_tuples(Delivery, DELIVERY_COLUMNS, deliveries, ["communication_id", "channel"])
