"""What became of an attempt: each of the ways a call can end moves the delivery its own way."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.actions import contradictions
from portal.actions.contradictions import DeliveryReport
from portal.actions.receipts import NEXT_RECEIPT_MS, heed_code
from portal.actions.sending_numbers import pause_numbers
from portal.domain import unexplained
from portal.domain.contradictions import ProviderReport
from portal.domain.provider_codes import OPTED_OUT, TOO_MANY, Rest, explain
from portal.domain.routing import SIMULATED_MODES, Mode, TextKind
from portal.extensions import db
from portal.gateways.outcomes import Accepted, Misconfigured, NotProcessed, Outcome, Refused, Unexplained, Unknown
from portal.models import batches, claims, doubts, gateway
from portal.models.communication import Attempt, Delivery

_TOO_MANY_REQUESTS = 429
_BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60)
_TRYING_MS, _LEAST_TRIES = 86_400_000, 300
"""A text is tried for a day. Days in which the lane stood still do not count as such: five hours of tries must be among
them, one a minute."""


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
    kind: str = TextKind.NOTIFICATION

    @property
    def answered(self) -> bool | None:
        """Whether the provider answered; None where it was not asked, or could not be reached to be asked."""
        if isinstance(self.outcome, Released) or self.unreached:
            return None
        return not isinstance(self.outcome, Unknown)

    @property
    def unreached(self) -> bool:
        """Whether the provider could not be reached to be asked: nobody was there, or something else answered."""
        return isinstance(self.outcome, NotProcessed) and not self.outcome.code


def limit_of(outcome: Outcome | Released) -> Rest | None:
    """How long the number rests after it; None where the answer tells of no limit. One that is new lasts minutes."""
    if not isinstance(outcome, NotProcessed) or outcome.code in ("", TOO_MANY):
        return None
    is_new = outcome.http_status == _TOO_MANY_REQUESTS
    return explain(outcome.code).rest or (Rest.FEW_MINUTES if is_new else None)


def keeps_number(outcome: Outcome | Released) -> bool:
    """Whether what else is claimed for the number would only be turned away as well."""
    return isinstance(outcome, Misconfigured) or limit_of(outcome) is not None


def says_of_number(result: Result) -> bool:
    """Whether the answer tells of a limit of the number, or of a refusal that may be the number's."""
    if result.mode in SIMULATED_MODES:
        return False
    return isinstance(result.outcome, Unexplained) or limit_of(result.outcome) is not None


def _kept(result: Result) -> dict[str, str]:
    """For the test harness, which shows the answer as it came; of other texts its meaning is kept."""
    if result.kind != TextKind.TEST or isinstance(result.outcome, Released):
        return {}
    return {"answer": result.outcome.answer}


def record(results: Sequence[Result], now_ms: int) -> None:
    """Inside a transaction. A guarded update that finds nothing has been overtaken by better evidence."""
    batches.lock(result.delivery_id for result in results)
    accepted = [result for result in results if isinstance(result.outcome, Accepted)]
    _accepted(accepted, now_ms)
    released = [result for result in results if isinstance(result.outcome, Released)]
    batches.take_back([(result.delivery_id, result.attempt_id) for result in released], now_ms)
    for result in sorted(results, key=lambda result: isinstance(result.outcome, Misconfigured)):
        # sending numbers are locked after the ledger, here and where receipts come: nobody waits in a circle
        if not isinstance(result.outcome, Accepted | Released):
            _record(result, result.outcome, now_ms)


def _record(result: Result, outcome: NotProcessed | Unknown | Misconfigured | Refused, now_ms: int) -> None:
    if isinstance(outcome, Unexplained) and not _is_rehearsed(result, outcome):
        _unexplained(result, outcome, now_ms)
    elif isinstance(outcome, NotProcessed) and not _is_rehearsed(result, outcome):
        _not_processed(result, outcome, now_ms)
    elif isinstance(outcome, Unknown):
        claims.settle(result.delivery_id, result.attempt_id, "unknown", now_ms, next_at_ms=now_ms)
        _finish(result, "unknown", outcome.words, outcome.http_status, "", now_ms)
    elif isinstance(outcome, Misconfigured) and result.mode not in SIMULATED_MODES:
        _misconfigured(result, outcome, now_ms)
    else:
        _refused(result, outcome, now_ms)


def _is_rehearsed(result: Result, outcome: NotProcessed) -> bool:
    """An error that was asked for, as by a magic number. Tried again once texts are live, it would leave for real."""
    return result.mode in SIMULATED_MODES and outcome.code not in ("", TOO_MANY)


def _misconfigured(result: Result, outcome: Misconfigured, now_ms: int) -> None:
    """The lane stands still until the fault is mended. A test text has told what it was sent for, and ends here."""
    if result.kind == TextKind.TEST:
        settled = _refused(result, outcome, now_ms)
    else:
        settled = _back_to_ready(result, outcome.code, now_ms, now_ms, burned=False)
        _finish(result, "misconfigured", outcome.words, outcome.http_status, outcome.code, now_ms)
    if not settled:
        return
    tried_at_ms = db.session.get_one(Attempt, result.attempt_id).started_at_ms
    pause_numbers(result.sender, outcome.code, outcome.words, tried_at_ms, now_ms)


def _accepted(results: Sequence[Result], now_ms: int) -> None:
    """All in two statements. An answer that was heard late still counts, whatever was thought of the attempt."""
    for simulated in (False, True):
        part = [result for result in results if (result.mode in SIMULATED_MODES) is simulated]
        rows = [
            {
                "delivery_id": result.delivery_id,
                "attempt_id": result.attempt_id,
                "provider_id": result.outcome.provider_id,
                "http_status": result.outcome.http_status,
                "answer": _kept(result).get("answer"),
            }
            for result in part
            if isinstance(result.outcome, Accepted)
        ]
        as_one = batches.accept(rows, "simulated" if simulated else "accepted", now_ms, now_ms + NEXT_RECEIPT_MS)
        if not (as_one or simulated):
            contradictions.record_conflicts([_news(result) for result in part], now_ms)


def _news(result: Result) -> DeliveryReport:
    provider_id = result.outcome.provider_id if isinstance(result.outcome, Accepted) else ""
    return DeliveryReport(result.delivery_id, ProviderReport("accepted", provider_id))


def _not_processed(result: Result, outcome: NotProcessed, now_ms: int) -> None:
    """Tried again later, for a day; then it is given up, and said so. Only tries that were turned away count: a way
    to the provider that is gone for days costs nobody their text."""
    delivery = db.session.get_one(Delivery, result.delivery_id, populate_existing=True)
    tries, first_ms = doubts.turned_away(delivery.id)
    if limit_of(outcome) is not None:
        # the number rests, and not the text: whatever ends the rest, it leaves then
        _back_to_ready(result, outcome.code, now_ms, now_ms, burned=False)
    elif tries >= _LEAST_TRIES and now_ms - first_ms > _TRYING_MS and not result.unreached:
        claims.settle(delivery.id, result.attempt_id, "dead", now_ms, error_code=outcome.code, reason=outcome.words)
    else:
        wait_ms = _wait_ms(delivery.attempts, outcome)
        _back_to_ready(result, outcome.code, now_ms + wait_ms, now_ms)
    _finish(result, "not_processed", outcome.words, outcome.http_status, outcome.code, now_ms)


def _unexplained(result: Result, outcome: Unexplained, now_ms: int) -> None:
    """Kept, and tried again later: for good it is refused only when others pass meanwhile, or after a day of tries.

    Of the tries since sending was last resumed, which begins the row anew as well.
    """
    sender = gateway.sender(result.sender)
    row, resumed_ms = (sender.refused_in_a_row, sender.resumed_at_ms or 0) if sender else ("", 0)
    times, first_ms = doubts.unexplained(result.delivery_id, resumed_ms)
    others_passed = not unexplained.has(row, db.session.get_one(Attempt, result.attempt_id).sent_to)
    is_told = result.kind == TextKind.TEST  # a test text has told what it was sent for
    its_own = is_told or unexplained.is_its_own_fault(times + 1, others_passed)
    if its_own or (times and now_ms - first_ms > unexplained.GIVES_UP_AFTER_MS):
        _refused(result, outcome, now_ms)
        return
    next_at_ms = now_ms + unexplained.wait_ms(times + 1)
    _back_to_ready(result, outcome.code, next_at_ms, now_ms, burned=False)
    _finish(result, "unexplained", outcome.words, outcome.http_status, outcome.code, now_ms)


def _refused(result: Result, outcome: Refused | Misconfigured | NotProcessed, now_ms: int) -> bool:
    """Whether it is what decided: an answer that contradicts the record is told, and does nothing else."""
    to = "simulated_refused" if result.mode in SIMULATED_MODES else "rejected"
    if to == "rejected" and outcome.code == OPTED_OUT and result.mode is Mode.LIVE:
        to = "suppressed"
    settled = claims.settle(result.delivery_id, result.attempt_id, to, now_ms, error_code=outcome.code)
    _finish(result, "refused", outcome.words, outcome.http_status, outcome.code, now_ms)
    if not settled:
        _doubt(result, to, outcome.code, now_ms)
    elif to != "simulated_refused":
        heed_code(result.attempt_id, outcome.code, now_ms)
    return settled


def _finish(result: Result, outcome: str, words: str, status: int | None, code: str, now_ms: int) -> None:
    known = {"detail": words, "http_status": status, "error_code": code, **_kept(result)}
    claims.finish_attempt(result.attempt_id, outcome, now_ms, **known)


def _back_to_ready(result: Result, code: str, next_at_ms: int, now_ms: int, burned: bool = True) -> bool:
    attempts = Delivery.attempts if burned else Delivery.attempts - 1
    changes = {"next_at_ms": next_at_ms, "attempts": attempts}
    settled = claims.settle(result.delivery_id, result.attempt_id, "ready", now_ms, **changes)
    if not settled:
        _doubt(result, "rejected", code, now_ms)
    return settled


def _doubt(result: Result, to: str, code: str, now_ms: int) -> None:
    """The answer of a call says that the text was not taken, and something else has decided already."""
    if doubts.is_proven(result.attempt_id):
        contradictions.record_conflicts([DeliveryReport(result.delivery_id, ProviderReport(to, ""), code)], now_ms)


def _wait_ms(attempts: int, outcome: NotProcessed) -> int:
    """What the provider asked for, else longer with every attempt."""
    if outcome.retry_after_seconds is not None:
        return round(outcome.retry_after_seconds * 1000)
    return _BACKOFF_SECONDS[min(max(attempts, 1), len(_BACKOFF_SECONDS)) - 1] * 1000
