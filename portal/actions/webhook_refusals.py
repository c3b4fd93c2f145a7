"""Calls to a webhook that are refused for their signature: counted, logged, and told where it matters.

Anybody can make such calls by the million, so they cost little: counters and no rows. What comes faster than a few a
second is not looked into for the address it may have gone to, and is counted in memory until the next one that is. A
call that names nothing of ours alarms nobody; the alarm of the others ends with the next call that is believed
(`domain.webhook_refusals`).
"""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from threading import Lock

import structlog
from flask import current_app

from portal.actions import settings as app_settings
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain.webhook_refusals import Cause, Ours, Refusal, Refused, possible_addresses, why_refused
from portal.domain.webhook_signature import Call
from portal.extensions import db
from portal.models import doubts, webhook_refusal
from portal.models.communication import Attempt
from portal.models.gateway import stored_settings

_EXTENSION = "refused webhooks"
_MOST_WRITES, _WINDOW_SECONDS, _LOG_SECONDS = 20, 10.0, 60.0
_log = structlog.get_logger(__name__)


class _Tally:
    """Of this process: what is counted and not written down yet. Used from many threads at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: Counter[tuple[str, Refusal]] = Counter()
        self._written: deque[float] = deque(maxlen=_MOST_WRITES)
        self._logged: dict[tuple[str, Refusal], float] = {}

    def has_room(self) -> bool:
        """Whether one more may be looked into and written down; it then counts as one that was."""
        now = time.monotonic()
        with self._lock:
            full = len(self._written) == self._written.maxlen
            if full and now - self._written[0] < _WINDOW_SECONDS:
                return False
            self._written.append(now)
            return True

    def add(self, door: str, refusal: Refusal) -> None:
        with self._lock:
            self._waiting[(door, refusal)] += 1

    def take(self) -> Counter[tuple[str, Refusal]]:
        with self._lock:
            taken, self._waiting = self._waiting, Counter()
            return taken

    def may_log(self, door: str, refusal: Refusal) -> bool:
        now, key = time.monotonic(), (door, Refusal(refusal.cause, refusal.ours))
        with self._lock:
            if now - self._logged.get(key, -_LOG_SECONDS) < _LOG_SECONDS:
                return False
            self._logged[key] = now
            return True


def note_refused(door: str, call: Call, said: Mapping[str, str], headers: Mapping[str, str], now_ms: int) -> None:
    """Count a call and tell the log why it was refused, but no word of what it `said`, its fields and query."""
    tally = _tally()
    has_room = tally.has_room()
    addresses = possible_addresses(call, settings().public_url, headers) if has_room else ()
    refusal = _why(call, said, addresses, has_room and _is_known(said))
    db.session.rollback()
    tally.add(door, refusal)
    if tally.may_log(door, refusal):
        words = "a webhook was refused: its signature does not fit"
        _log.warning(words, webhook=door, likely=refusal.cause.value, names_us=refusal.ours, called=refusal.detail)
    if has_room:
        _write_down(now_ms)


def standing(now_ms: int) -> list[Refused]:
    """Those that somebody should look into."""
    return [one for one in _all(only_ours=True) if one.is_open(now_ms)]


def refused(now_ms: int) -> list[Refused]:
    """All that were ever refused, counted by webhook and cause."""
    _write_down(now_ms)
    return _all()


def _all(only_ours: bool = False) -> list[Refused]:
    rows = webhook_refusal.all_refused(only_ours)
    if not rows:
        return []
    stored = stored_settings("SmsGatewayAuthentication").get("SmsGatewayAuthentication")
    believed = {door: webhook_refusal.believed_ms(door) for door in {row.door for row in rows}}
    return [
        Refused(
            door=row.door,
            refusal=Refusal(Cause(row.cause), row.ours, row.detail),
            calls=row.calls,
            last_ms=row.last_at_ms,
            believed_ms=believed[row.door],
            changed_ms=stored.changed_at_ms if stored else 0,
        )
        for row in rows
    ]


def _why(call: Call, said: Mapping[str, str], addresses: Sequence[str], is_known: bool) -> Refusal:
    live = app_settings.live_gateway()
    sid, tokens = (live.credentials.account_sid, live.credentials.signing_tokens) if live.credentials else ("", ())
    numbers = (*live.sender.numbers, live.sender.messaging_service_sid) if live.sender else ()
    ours = Ours(sid, frozenset(filter(None, numbers)))
    return why_refused(call, tokens, is_known or ours.are_named_by(said), said, ours, addresses)


def _is_known(said: Mapping[str, str]) -> bool:
    """Whether it names an attempt of ours, or Twilio's id of a message that it took from us."""
    attempt_id, message_id = said.get("attempt", ""), said.get("MessageSid", "")
    if "\x00" in attempt_id + message_id:
        return False
    is_attempt = bool(attempt_id) and db.session.get(Attempt, attempt_id) is not None
    return is_attempt or (bool(message_id) and doubts.is_provider_id_taken(message_id))


def _write_down(now_ms: int) -> None:
    taken = _tally().take()
    if not taken:
        return
    with transaction():
        for (door, refusal), calls in sorted(taken.items(), key=lambda item: (item[0][0], item[0][1].cause)):
            webhook_refusal.count_refused(door, refusal.cause, refusal.ours, refusal.detail, calls, now_ms)


def _tally() -> _Tally:
    found: _Tally = current_app.extensions.setdefault(_EXTENSION, _Tally())
    return found
