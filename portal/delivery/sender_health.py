"""What responses and receipts say about the sending numbers: circuit breaker, limits and unexplained rejections.

Call inside a transaction, after locking the consent ledger if that is needed.
"""

import re
from collections.abc import Mapping, Sequence

from portal.core.extensions import db
from portal.delivery.rules import circuit_breaker, unexplained_rejections
from portal.delivery.rules.circuit_breaker import SMS_BREAKER, Signal
from portal.delivery.rules.provider_quotas import cooldown_ends_ms
from portal.delivery.sms_attempt import SmsResult, cooldown_after
from portal.delivery.sms_scheduling import Clock
from portal.gateways.outcomes import Accepted, NotSent, UnrecognizedError
from portal.gateways.rules.provider_codes import Cooldown, explain_error_code
from portal.gateways.rules.provider_schema import SenderSettings
from portal.messages.tables.communications import Attempt
from portal.settings import app_settings
from portal.settings.tables import sending_numbers
from portal.settings.tables.sending_numbers import SendingNumber, lock_all_senders, lock_senders_by_key, pause_sender

_PHONES = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]")
_MAX_MESSAGE_LENGTH = 200
Senders = Mapping[str, SendingNumber]


def lock_and_update_senders(results: Sequence[SmsResult], sender: SenderSettings | None, clock: Clock) -> Senders:
    """Record what the results of a claim say; return the rows of these numbers and of those in use."""
    in_use = [individual.sender_key for individual in sender.individual_senders] if sender else []
    if any(result.concerns_sender for result in results):
        lock_all_senders()
    senders = lock_senders_by_key([*in_use, *(result.attempt.sender for result in results)])
    _update_breaker_state(results, senders, clock())
    _update_limits(results, senders, clock() // 1000)
    return senders


def _update_breaker_state(results: Sequence[SmsResult], senders: Senders, now_us: int) -> None:
    """If the provider answers for one number, it is up for all of them."""
    now_ms, answers_again = now_us // 1000, any(result.signal is Signal.WORKS for result in results)
    for sender in senders.values() if answers_again else ():
        sender.down_since_ms = None
    for sender_key in {result.attempt.sender for result in results}:
        own = [result for result in results if result.attempt.sender == sender_key]
        sender = senders[sender_key]
        failures = SMS_BREAKER.count_failures(sender.consecutive_failures, [result.signal for result in own])
        if failures != sender.consecutive_failures:
            probe_delay_ms = SMS_BREAKER.probe_delay_ms(failures)
            sender.retry_at_us = now_us + probe_delay_ms * 1000 if probe_delay_ms else 0
            sender.consecutive_failures = failures
        elif all(result.signal is Signal.NONE for result in own):
            sender.retry_at_us = min(sender.retry_at_us, now_us + circuit_breaker.UNSENT_PROBE_RETRY_US)
        if not answers_again:
            unreachable, since_ms = any(result.was_unreachable for result in own), sender.down_since_ms
            sender.down_since_ms = circuit_breaker.outage_started_ms(since_ms, failures, unreachable, now_ms)


def _update_limits(results: Sequence[SmsResult], senders: Senders, now_ms: int) -> None:
    """Apply acceptances, limits and unexplained rejections, in the order of the responses."""
    for result in results:
        sender = result.attempt.sender
        if isinstance(result.outcome, Accepted) and senders[sender].unrecognized_rejections:
            senders[sender].unrecognized_rejections = ""
        if not result.concerns_sender:
            continue
        attempt = db.session.get_one(Attempt, result.attempt.id, populate_existing=True)
        if attempt.provider_id is not None:
            continue  # it was provably accepted, whatever this response says
        if isinstance(result.outcome, UnrecognizedError):
            code, message = result.outcome.code, result.outcome.message
            record_unexplained(attempt, "unrecognized_rejections", code, message, now_ms)
        elif isinstance(result.outcome, NotSent) and (cooldown := cooldown_after(result.outcome)):
            apply_quota_limit(sender, result.outcome.code, cooldown, attempt.started_at_ms, now_ms)


def pause_numbers(sender: str, code: str, message: str, attempted_at_ms: int, now_ms: int) -> None:
    """Pause the number, or all of them if the account is at fault: texts submitted until then would be lost."""
    for number in _affected_senders(sender, code):
        pause_sender(number, f"{code}: {message}", attempted_at_ms, now_ms)


def apply_quota_limit(sender: str, code: str, cooldown: Cooldown, attempted_at_ms: int, now_ms: int) -> None:
    """Hold the number until the limit resets, and the others too if the limit is the account’s."""
    for number, row in _affected_senders(sender, code).items():
        until_ms = cooldown_ends_ms(cooldown, attempted_at_ms, row.limit_resets_at_ms if row.limit_code == code else 0)
        if until_ms > now_ms:
            sending_numbers.set_sender_limit(number, code, until_ms, attempted_at_ms)


def record_unexplained(attempt: Attempt, column: str, code: str, message: str, now_ms: int) -> None:
    """Count an unexplained rejection or failure; after several recipients in a row, pause the number.

    `column` is `unrecognized_rejections` or `unrecognized_failures`. All numbers from which nothing has got through
    count together: a rejected account is rejected from each of them.
    """
    lock_all_senders()
    row = lock_senders_by_key([attempt.sender])[attempt.sender]
    if attempt.started_at_ms <= (row.resumed_at_ms or 0):
        return
    setattr(row, column, unexplained_rejections.add_recipient(getattr(row, column), attempt.destination))
    db.session.flush()
    rows = sending_numbers.senders_with_unrecognized(column)
    if unexplained_rejections.is_pause_threshold_reached(*(getattr(sender, column) for sender in rows)):
        for sender in rows:
            pause_sender(sender.number, f"{code}: {_pause_reason(message)}", attempt.started_at_ms, now_ms)


def _pause_reason(message: str) -> str:
    """Twilio’s message, with any phone numbers in it masked."""
    masked = _PHONES.sub("•••", message).strip()[:_MAX_MESSAGE_LENGTH].rstrip(".")
    count = unexplained_rejections.PAUSE_THRESHOLD
    reason = f"Texts to {count} different people in a row were refused for an unknown reason."
    return f"{reason} Twilio said: {masked}." if masked else reason


def _affected_senders(sender: str, code: str) -> dict[str, SendingNumber]:
    live = app_settings.live_gateway().sender
    live_keys = live.sender_assignment.sender_keys if live else ()
    are_all_affected = explain_error_code(code).is_account_fault and sender in live_keys
    lock_all_senders()
    return lock_senders_by_key([sender, *(live_keys if are_all_affected else ())])
