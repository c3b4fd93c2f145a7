"""What a batch of results says about the sending numbers: circuit breaker, limits and unexplained rejections."""

from collections.abc import Mapping, Sequence

from portal.core.extensions import db
from portal.delivery.rules import circuit_breaker
from portal.delivery.sender_limits import apply_quota_limit, record_unexplained
from portal.delivery.sms_outcome import SmsResult, concerns_sender, cooldown_after
from portal.gateways.outcomes import Accepted, NotSent, UnrecognizedError
from portal.messages.tables.communications import Attempt
from portal.settings.tables.sending_numbers import SendingNumber

Senders = Mapping[str, SendingNumber]


def update_breaker_state(results: Sequence[SmsResult], senders: Senders, now_us: int) -> None:
    """If the provider answers for one number, it is up for all of them."""
    now_ms, answers_again = now_us // 1000, any(result.answered for result in results)
    for sender in senders.values() if answers_again else ():
        sender.down_since_ms = None
    for sender_key in {result.sender for result in results}:
        own = [result for result in results if result.sender == sender_key]
        answers = [result.answered for result in own if result.answered is not None]
        sender = senders[sender_key]
        failures = circuit_breaker.count_unanswered_calls(sender.consecutive_failures, answers)
        if failures != sender.consecutive_failures:
            sender.retry_at_us = circuit_breaker.next_probe_us(failures, now_us)
            sender.consecutive_failures = failures
        elif not answers:
            sender.retry_at_us = min(sender.retry_at_us, now_us + circuit_breaker.UNSENT_PROBE_RETRY_US)
        if not answers_again:
            unreachable, since_ms = any(result.was_unreachable for result in own), sender.down_since_ms
            sender.down_since_ms = circuit_breaker.outage_started_ms(since_ms, failures, unreachable, now_ms)


def update_sender_limits(results: Sequence[SmsResult], senders: Senders, now_ms: int) -> None:
    """Apply acceptances, limits and unexplained rejections, in the order of the responses."""
    for result in results:
        if isinstance(result.outcome, Accepted) and senders[result.sender].unrecognized_rejections:
            senders[result.sender].unrecognized_rejections = ""
        if not concerns_sender(result):
            continue
        attempt = db.session.get_one(Attempt, result.attempt_id, populate_existing=True)
        if attempt.provider_id is not None:
            continue  # it was provably accepted, whatever this response says
        if isinstance(result.outcome, UnrecognizedError):
            code, message = result.outcome.code, result.outcome.message
            record_unexplained(attempt, "unrecognized_rejections", code, message, now_ms)
        elif isinstance(result.outcome, NotSent) and (cooldown := cooldown_after(result.outcome)):
            apply_quota_limit(result.sender, result.outcome.code, cooldown, attempt.started_at_ms, now_ms)
