"""What became of an attempt: each of the ways a call can end moves the delivery its own way."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import update

from portal.actions.consent import note_late_stop
from portal.domain.provider_codes import OPTED_OUT
from portal.domain.routing import Mode
from portal.extensions import db
from portal.gateways.outcomes import Accepted, Misconfigured, NotProcessed, Outcome, Refused, Unknown
from portal.models import claims
from portal.models.communication import Delivery
from portal.models.gateway import Sender

_BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60)
FIRST_RECEIPT_LOOK_MS = 600_000
"""A text not heard of for ten minutes is asked after (RELIABILITY.md 2.6)."""

SIMULATED_MODES = (Mode.TEST, Mode.TEST_OVERRIDE)


@dataclass(frozen=True)
class Released:
    """The text was not sent since its slot or its lease had passed; it takes a new slot, and no attempt is burned."""


@dataclass(frozen=True)
class Result:
    attempt_id: str
    delivery_id: int
    mode: Mode
    sender: str
    outcome: Outcome | Released


def record(results: Sequence[Result], now_ms: int) -> None:
    """Inside a transaction. A guarded update that finds nothing has been overtaken by better evidence."""
    for result in results:
        _record(result, now_ms)


def _record(result: Result, now_ms: int) -> None:
    outcome = result.outcome
    if isinstance(outcome, Released):
        claims.finish_attempt(result.attempt_id, "released", now_ms)
        _back_to_ready(result, now_ms, now_ms, burned=False)
    elif isinstance(outcome, Accepted):
        _accepted(result, outcome, now_ms)
    elif isinstance(outcome, NotProcessed):
        _finish(result, "not_processed", outcome.words, outcome.http_status, outcome.code, now_ms)
        _back_to_ready(result, now_ms + _backoff_ms(result, outcome), now_ms)
    elif isinstance(outcome, Unknown):
        _finish(result, "unknown", outcome.words, outcome.http_status, "", now_ms)
        claims.settle(result.delivery_id, result.attempt_id, "unknown", now_ms, next_at_ms=now_ms)
    elif isinstance(outcome, Misconfigured) and result.mode not in SIMULATED_MODES:
        _finish(result, "misconfigured", outcome.words, outcome.http_status, outcome.code, now_ms)
        _back_to_ready(result, now_ms, now_ms, burned=False)
        _pause(result.sender, f"{outcome.code}: {outcome.words}", now_ms)
    else:
        _refused(result, outcome, now_ms)


def _accepted(result: Result, outcome: Accepted, now_ms: int) -> None:
    claims.finish_attempt(
        result.attempt_id, "accepted", now_ms, provider_id=outcome.provider_id, http_status=outcome.http_status
    )
    to = "simulated" if result.mode in SIMULATED_MODES else "accepted"
    claims.settle(
        result.delivery_id,
        result.attempt_id,
        to,
        now_ms,
        provider_id=outcome.provider_id,
        error_code="",
        next_at_ms=now_ms + FIRST_RECEIPT_LOOK_MS,
    )


def _refused(result: Result, outcome: Refused | Misconfigured, now_ms: int) -> None:
    _finish(result, "refused", outcome.words, outcome.http_status, outcome.code, now_ms)
    to = "simulated_refused" if result.mode in SIMULATED_MODES else "rejected"
    if to == "rejected" and outcome.code == OPTED_OUT:
        to = "suppressed"
        note_late_stop(result.delivery_id, result.attempt_id, now_ms)
    claims.settle(result.delivery_id, result.attempt_id, to, now_ms, error_code=outcome.code)


def _finish(result: Result, outcome: str, words: str, status: int | None, code: str, now_ms: int) -> None:
    claims.finish_attempt(result.attempt_id, outcome, now_ms, detail=words, http_status=status, error_code=code)


def _back_to_ready(result: Result, next_at_ms: int, now_ms: int, burned: bool = True) -> None:
    attempts = Delivery.attempts if burned else Delivery.attempts - 1
    claims.settle(
        result.delivery_id,
        result.attempt_id,
        "ready",
        now_ms,
        next_at_ms=next_at_ms,
        attempts=attempts,
    )


def _backoff_ms(result: Result, outcome: NotProcessed) -> int:
    """What the provider asked for, else longer with every attempt."""
    if outcome.retry_after_seconds is not None:
        return round(outcome.retry_after_seconds * 1000)
    delivery = db.session.get(Delivery, result.delivery_id)
    attempts = delivery.attempts if delivery else 1
    return _BACKOFF_SECONDS[min(attempts, len(_BACKOFF_SECONDS)) - 1] * 1000


def _pause(sender: str, reason: str, now_ms: int) -> None:
    """Once: the first reason stands until somebody has mended it."""
    query = update(Sender).where(Sender.number == sender, Sender.paused_reason == "")
    db.session.execute(query.values(paused_reason=reason, paused_at_ms=now_ms))
