"""Fan-out: a send becomes one communication for each account, with an email and a text or the reason why not.

In chunks, each a transaction that also moves the send's cursor; unique indexes make a second run harmless.
"""

import secrets
import string
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from portal.actions import tide
from portal.actions.outlook import decide_for, question_of
from portal.actions.rendering import TOKEN_LENGTH, Rendered, render_for
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain.merge import MergeError
from portal.domain.routing import Decision
from portal.domain.status import WAITING
from portal.extensions import db
from portal.gateways import queue
from portal.models import audience as audiences
from portal.models import claims
from portal.models.audience import Recipient
from portal.models.communication import Communication, Delivery
from portal.models.lane import turn_of
from portal.models.send import Send, is_any_new, unfinished_ids
from portal.models.upsert import insert_plain

_LETTERS = string.ascii_letters + string.digits
_PAIRS = tuple(first + second for first in _LETTERS for second in _LETTERS)
_EVEN = 65_536 // len(_PAIRS) * len(_PAIRS)
URGENT, BULK = 0, 1
CHUNK = 1_000
"""One commit, which waits for the disk, writes this many; SQLite is locked for some 20 ms meanwhile."""
EXPAND_SECONDS = 20.0
_NEW_MS = 60_000


@dataclass(frozen=True)
class Chunk:
    """What one step of the fan-out writes: made before the transaction, so that the lock is held for milliseconds."""

    send_id: int
    after_id: int
    through_id: int
    account_ids: list[int]
    communications: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    turns: dict[str, int]


def expand_send(
    send_id: int,
    clock: Callable[[], int],
    should_stop: Callable[[], bool] = lambda: False,
    seconds: float = EXPAND_SECONDS,
) -> None:
    """Run through the audience from where the last run got to, and hand over after a while.

    The first chunk already starts the sending, so a send that nobody has begun goes before the rest of this one.
    """
    if not tide.is_known_to_be_young(clock()):
        return
    ends_ms = clock() + round(seconds * 1000)
    redis_url = settings().redis_url
    while _expand_chunk(send_id, clock()):
        queue.ring(redis_url, "drain_email")
        queue.ring(redis_url, "drain_sms")
        if should_stop() or clock() >= ends_ms or _another_waits(send_id, clock()):
            return
    with transaction():
        claims.finish_sends(clock())


def unfinished() -> list[int]:
    """The sends that are still to be expanded, whole or in part."""
    found = [*unfinished_ids("queued"), *unfinished_ids("expanding")]
    db.session.rollback()
    return found


def _another_waits(send_id: int, now_ms: int) -> bool:
    """A send just made; one that fails at its first chunk must not slow the others down for ever."""
    waits = is_any_new(send_id, now_ms - _NEW_MS)
    db.session.rollback()
    return waits


def _expand_chunk(send_id: int, now_ms: int) -> bool:
    """One chunk; False when the send is expanded."""
    send = db.session.get(Send, send_id, populate_existing=True)
    if send is None or send.state not in ("queued", "expanding"):
        db.session.rollback()
        return False
    accounts = audiences.recipients_after(send.audience, send.expanded_through, CHUNK)
    chunk = _chunk(send, accounts, now_ms) if accounts else None
    after_id = send.expanded_through
    with transaction():
        if chunk is None:
            claims.end_expansion(send_id, after_id, now_ms)
            return False
        # another worker may have been here meanwhile; then its chunk stands and this one is dropped
        if claims.move_expansion(send_id, after_id, chunk.through_id, len(accounts), chunk.turns):
            _insert(chunk)
    return True


def _chunk(send: Send, accounts: list[Recipient], now_ms: int) -> Chunk:
    version = send.version
    lane = URGENT if version.urgent else BULK
    turns = _turns(send, lane)
    communications: list[dict[str, Any]] = []
    deliveries: list[dict[str, Any]] = []
    question = question_of(version, send.created_at_ms, now_ms)
    decided = decide_for(accounts, question)
    for (account, decision), token in zip(decided, new_tokens(len(accounts)), strict=True):
        common = _delivery(send.id, account.id, lane, now_ms) | {"turn": turns["sms_turn"]}
        email = common | {"channel": "email", "state": "ready", "address": account.email}
        email["turn"] = turns["email_turn"]
        try:
            rendered = render_for(version, account, send.data, token)
            text = _text(decision, rendered.text, rendered.segments)
            deliveries += [email, common | text | {"useful_until_ms": question.useful_until_ms}]
        except MergeError as error:
            # one person's values must not hold up the others: it is said where the message would stand
            rendered = Rendered(version.template.name, f"This message could not be written. {error}", "", 0)
            failed = {"state": "rejected", "reason": f"The template cannot be filled in for this account: {error}"}
            deliveries += [email | failed, common | {"channel": "sms", "address": decision.number} | failed]
        communications.append(_communication(send.id, account.id, rendered.subject, rendered.body, token, now_ms))
        # only what can leave takes a turn: who gets the email only is no reason for a text to wait
        turns["email_turn"] += 1
        turns["sms_turn"] += decision.goes
    if send.paused_at_ms is not None:
        paused = {"state": "held", "reason": "", "next_at_ms": now_ms}
        deliveries = [row | paused if row["state"] in WAITING else row for row in deliveries]
    ids = [account.id for account in accounts]
    return Chunk(send.id, send.expanded_through, ids[-1], ids, communications, deliveries, turns)


def _turns(send: Send, lane: int) -> dict[str, int]:
    """The next turns of the send: never before where each lane has got to, so that it takes turns from now on."""
    return {
        "email_turn": max(send.email_turn or 0, turn_of("email", lane) + 1),
        "sms_turn": max(send.sms_turn or 0, turn_of("sms", lane) + 1),
    }


def _insert(chunk: Chunk) -> None:
    insert_plain(Communication, chunk.communications, ["send_id", "account_id"])
    ids = _ids_by_account(chunk.send_id, chunk.account_ids)
    for row in chunk.deliveries:
        row["communication_id"] = ids[row.pop("account_id")]
    insert_plain(Delivery, chunk.deliveries, ["communication_id", "channel"])


def new_token() -> str:
    return new_tokens(1)[0]


def new_tokens(count: int) -> list[str]:
    """Keys of short links: 62^8 of them, and whoever follows one must still sign in."""
    pairs: list[str] = []
    wanted = count * TOKEN_LENGTH // 2
    while len(pairs) < wanted:
        drawn = array("H", secrets.token_bytes(2 * wanted))
        # what is above the last whole multiple would make the first pairs likelier than the others
        pairs += [_PAIRS[number % len(_PAIRS)] for number in drawn if number < _EVEN]
    letters = "".join(pairs)
    return [letters[place : place + TOKEN_LENGTH] for place in range(0, count * TOKEN_LENGTH, TOKEN_LENGTH)]


def _communication(send_id: int, account_id: int, subject: str, body: str, token: str, now_ms: int) -> dict[str, Any]:
    return {
        "send_id": send_id,
        "account_id": account_id,
        "kind": "notification",
        "subject": subject,
        "body": body,
        "token": token,
        "created_at_ms": now_ms,
    }


def _delivery(send_id: int, account_id: int, lane: int, now_ms: int) -> dict[str, Any]:
    times = dict.fromkeys(("next_at_ms", "state_at_ms", "created_at_ms"), now_ms)
    blank = {"reason": "", "body": "", "segments": 0, "attempts": 0, "error_code": "", "useful_until_ms": None}
    return {"send_id": send_id, "account_id": account_id, "lane": lane, **times, **blank}


def _text(decision: Decision, body: str, segments: int) -> dict[str, Any]:
    row: dict[str, Any] = {"channel": "sms", "address": decision.number}
    if not decision.goes:
        return row | {"state": "skipped", "reason": str(decision.reason)}
    row |= {"body": body, "segments": segments}
    if decision.waits_until_ms is None:
        return row | {"state": "ready"}
    return row | {"state": "quiet", "reason": str(decision.reason), "next_at_ms": decision.waits_until_ms}


def _ids_by_account(send_id: int, account_ids: list[int]) -> dict[int, int]:
    query = select(Communication.account_id, Communication.id).where(
        Communication.send_id == send_id, Communication.account_id.in_(account_ids)
    )
    return {account_id: communication_id for account_id, communication_id in db.session.execute(query)}
