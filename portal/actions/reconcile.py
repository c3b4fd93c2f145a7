"""Resolve unknown outcomes by evidence and fetch missing receipts (docs/reliability.md#unknown-outcomes).

A text whose outcome is unknown is import_preview for in Twilio's list by its link token. Found: accepted. Not found, and older
than the settle window: ready again. Not found and younger: import_preview for later. Never sent again just so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portal.actions import contradictions
from portal.actions.carriers import sms_gateway
from portal.actions.email_drain import MOST_ATTEMPTS, wait_ms
from portal.actions.receipts import advance_by_evidence
from portal.actions.transaction import transaction
from portal.actions.twilio_api import message_created_ms, live_credentials
from portal.context import settings
from portal.domain import sms
from portal.domain.app_config import Credentials
from portal.domain.routing import SIMULATED_MODES
from portal.domain.status import NO_MORE_LOOKS_MS
from portal.extensions import db
from portal.gateways.provider import Found, NotAnswered
from portal.models import claims, doubts
from portal.models.communication import Delivery

_AT_ONCE = 50
_LOOK_AGAIN_MS = 15_000
_ASK_LATER_MS = 120_000
_LOOK_BACK_MS = 6 * 3_600_000
"""How much older than its attempt a message may seem: the token decides, this only ends the reading of pages."""
_LINKLESS_LOOK_BACK_MS = 30_000
"""The words alone decide less: an older text of the same words was another one."""
_MOST_ABSENT, _TRYING_MS = 20, 86_400_000
"""So often, and for a day, a text may vanish without a trace before it is given up: hours in which Twilio takes nothing
in cost nobody their text, also after a weekend on which the lane stood still. What it turned away is not among it."""
_ABSENT_WAITS_SECONDS = (0, 10, 60, 300, 900, 1_800)
"""After so many absences; meanwhile others are tried, and not the same few again and again."""
_RECEIPT_LOOKS_MS = (600_000, 3_600_000, 86_400_000)
"""10 minutes, 1 hour and 24 hours after sending (docs/reliability.md#missing-receipts)."""

_WORDLESS = "Twilio keeps the words of this account's texts to itself, so this one cannot be told from another"


class _Wordless(Exception):
    """The list shows a message that may be the one, without its words."""


@dataclass(frozen=True)
class Doubt:
    """Plain values of one unknown text, so that no transaction is open while Twilio is asked.

    `heard_until_ms` is when the attempt was last known to be under way: the settle window counts from there.
    """

    delivery_id: int
    attempt_id: str
    mode: str
    account_sid: str
    sent_to: str
    body: str
    started_at_ms: int
    heard_until_ms: int


def settle_unknown(clock: Callable[[], int]) -> None:
    """Raises `NotAnswered` when Twilio does not answer: asking for the others would only wait longer."""
    credentials = live_credentials()
    for doubt in _due_doubts(clock()):
        if doubt.mode in SIMULATED_MODES:
            _give_back(doubt, clock())
        elif credentials is None or credentials.account_sid != doubt.account_sid:
            # another account's list proves nothing: it stays unknown, and visible
            _look_again(doubt, clock())
        else:
            _look_for(doubt, credentials, clock)


def settle_mails(now_ms: int) -> None:
    """Mail is sent at least once: in doubt it goes again, later each time, with the same Message-ID."""
    with transaction():
        for delivery in doubts.unknown("email", now_ms, _AT_ONCE):
            known: dict[str, Any] = {
                "delivery_id": delivery.id,
                "attempt_id": delivery.attempt_id or "",
                "now_ms": now_ms,
            }
            if delivery.attempts >= MOST_ATTEMPTS:
                claims.settle(to="dead", reason="The mail server never confirmed it", **known)
            else:
                claims.settle(to="ready", next_at_ms=now_ms + wait_ms(delivery.attempts), **known)


def ask_for_receipts(clock: Callable[[], int]) -> None:
    """Fetch texts that were accepted and then not heard of. Raises `NotAnswered`.

    Where nobody can be asked the look passes all the same, or the text would seem to be under way for ever.
    """
    credentials = live_credentials()
    due = [
        (delivery.id, delivery.provider_id or "", doubts.attempt_of(delivery).account_sid)
        for delivery in doubts.without_receipt(clock(), _AT_ONCE)
    ]
    db.session.rollback()
    for delivery_id, provider_id, account_sid in due:
        if credentials is None or credentials.account_sid != account_sid:
            _look_passes(delivery_id, None, clock())
        else:
            _fetch(delivery_id, provider_id, credentials, clock)


def _due_doubts(now_ms: int) -> list[Doubt]:
    found = [(delivery, doubts.attempt_of(delivery)) for delivery in doubts.unknown("sms", now_ms, _AT_ONCE)]
    due = [
        Doubt(
            delivery_id=delivery.id,
            attempt_id=attempt.id,
            mode=attempt.mode,
            account_sid=attempt.account_sid,
            sent_to=attempt.sent_to,
            body=delivery.body,
            started_at_ms=attempt.slot_at_ms,
            heard_until_ms=attempt.finished_at_ms or attempt.lease_until_ms,
        )
        for delivery, attempt in found
    ]
    db.session.rollback()
    return due


def _look_for(doubt: Doubt, credentials: Credentials, clock: Callable[[], int]) -> None:
    try:
        hits = _find(doubt, credentials)
    except NotAnswered:
        _look_again(doubt, clock())
        raise
    except _Wordless:
        _look_again(doubt, clock(), settle_windows=3, reason=_WORDLESS)
        return
    now_ms = clock()
    if hits:
        _found_it(doubt, hits, now_ms)
    elif now_ms - doubt.heard_until_ms > settings().sms_unknown_seconds * 1000:
        _give_back(doubt, now_ms)
    else:
        _look_again(doubt, now_ms)


def _find(doubt: Doubt, credentials: Credentials) -> list[Found]:
    """The messages that are this attempt's and no other attempt's: the same link, made since about when it began.

    Raises `_Wordless` if none is but an unclaimed message has no body (docs/reliability.md#redacted-bodies).
    """
    hits, wordless = [], False
    for found in sms_gateway().sent_to(credentials, doubt.sent_to):
        if message_created_ms(found) < doubt.started_at_ms - _look_back_ms(doubt.body):
            break
        same, bare = _is_same_text(doubt.body, found.body), not found.body.strip()
        if found.direction == "inbound" or not (same or bare) or _is_taken(found.provider_id):
            continue
        if same:
            hits.append(found)
        wordless = wordless or bare
    if wordless and not hits:
        raise _Wordless
    return hits if _token(doubt.body) else hits[:1]


def _is_taken(provider_id: str) -> bool:
    taken = doubts.is_provider_id_taken(provider_id)
    db.session.rollback()
    return taken


def _found_it(doubt: Doubt, hits: Sequence[Found], now_ms: int) -> None:
    """More than one is more than should be: whatever made it, somebody has the same text twice, and it must show."""
    hit = hits[0]
    with transaction():
        delivery = db.session.get_one(Delivery, doubt.delivery_id)
        if len(hits) > 1:
            contradictions.record_listed_duplicates(delivery, [found.provider_id for found in hits], now_ms)
        advance_by_evidence(delivery, hit, now_ms, proves=doubt.attempt_id)
        _next_receipt_look(delivery, doubt.started_at_ms, now_ms)


def _give_back(doubt: Doubt, now_ms: int) -> None:
    """It certainly did not arrive: again, but not for ever."""
    with transaction():
        times, first_ms = doubts.vanished(doubt.delivery_id)
        given_up = times + 1 >= _MOST_ABSENT and now_ms - first_ms > _TRYING_MS
        wait_seconds = _ABSENT_WAITS_SECONDS[min(times, len(_ABSENT_WAITS_SECONDS) - 1)]
        again = {"next_at_ms": now_ms + wait_seconds * 1000}
        changes = {"reason": "It never arrived at Twilio"} if given_up else again
        if claims.settle(doubt.delivery_id, doubt.attempt_id, "dead" if given_up else "ready", now_ms, **changes):
            claims.finish_attempt(doubt.attempt_id, "absent", now_ms)


def _look_again(doubt: Doubt, now_ms: int, settle_windows: int = 0, **changes: str) -> None:
    """Soon, as long as the list may only be late; else after so many settle windows."""
    settle_ms = round(settings().sms_unknown_seconds * 1000)
    next_ms = now_ms + (settle_windows * settle_ms or min(_LOOK_AGAIN_MS, settle_ms // 4))
    with transaction():
        claims.settle(doubt.delivery_id, doubt.attempt_id, "unknown", now_ms, next_at_ms=next_ms, **changes)


def _fetch(delivery_id: int, provider_id: str, credentials: Credentials, clock: Callable[[], int]) -> None:
    try:
        found = sms_gateway().fetch(credentials, provider_id)
    except NotAnswered:
        _ask_later(delivery_id, clock())
        raise
    _look_passes(delivery_id, found, clock())


def _ask_later(delivery_id: int, now_ms: int) -> None:
    """No answer is no look: the last one may be all that a text is heard of again. For two days, then it passes."""
    with transaction():
        delivery = db.session.get_one(Delivery, delivery_id)
        if now_ms - doubts.attempt_of(delivery).slot_at_ms > 2 * _RECEIPT_LOOKS_MS[-1]:
            delivery.next_at_ms = NO_MORE_LOOKS_MS
        else:
            delivery.next_at_ms = now_ms + _ASK_LATER_MS


def _look_passes(delivery_id: int, found: Found | None, now_ms: int) -> None:
    with transaction():
        delivery = db.session.get_one(Delivery, delivery_id)
        if found is not None:
            advance_by_evidence(delivery, found, now_ms)
        _next_receipt_look(delivery, doubts.attempt_of(delivery).slot_at_ms, now_ms)


def _next_receipt_look(delivery: Delivery, sent_at_ms: int, now_ms: int) -> None:
    """The next of the three looks, counted from when the text was sent; after the last one, never."""
    later = [sent_at_ms + look for look in _RECEIPT_LOOKS_MS if look > now_ms - sent_at_ms]
    delivery.next_at_ms = later[0] if later else NO_MORE_LOOKS_MS


def _is_same_text(ours: str, listed: str) -> bool:
    """By the link's token: Twilio may change the words around it (smart encoding), never the link.

    A text without a link is known by all of its words, made plain; only one of a kind is out at a time (`sms_claim`).
    """
    token = _token(ours)
    return token in listed if token else sms.plain(ours) == sms.plain(listed)


def _look_back_ms(body: str) -> int:
    return _LOOK_BACK_MS if _token(body) else _LINKLESS_LOOK_BACK_MS


def _token(body: str) -> str:
    """Empty for a text without a link."""
    return body.rpartition("/c/")[2] if "/c/" in body else ""
