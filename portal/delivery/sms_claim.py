"""One cycle of the SMS lane: record results and claim the next texts, in one transaction.

A claim gives every text its slot (`core.rules.pacing`), and inserts an attempt with a lease before anything is sent.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from portal.accounts.tables.phone_numbers import is_stopped
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import quiet_hours, routing
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.routing import Mode, Reason, TextKind
from portal.core.transaction import transaction
from portal.delivery.rules import circuit_breaker
from portal.delivery.sender_limits import apply_quota_limit, record_unexplained
from portal.delivery.sms_results import SmsResult, concerns_sender, cooldown_after, record_results
from portal.delivery.sms_scheduling import ClaimBatch, SenderCapacity, SenderPool, build_sender_pool
from portal.delivery.tables.ready_queue import WaitingText
from portal.gateways.outcomes import Accepted, NotSent, UnrecognizedError
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.messages.tables import attempts, lane_state, transitions, unsent_messages
from portal.messages.tables.communications import Attempt
from portal.sends.deferred_texts import quiet_hours_lookup
from portal.settings import app_settings
from portal.settings.rules.app_config import SendRoute
from portal.settings.tables.sending_numbers import SendingNumber, lock_all_senders, lock_senders_by_key

_TRANSACTION_TIMEOUT_SECONDS = 10
"""A cycle takes milliseconds. While a worker that lost its connection holds the sender’s row, the whole lane waits."""
_DUPLICATE_WAIT_MS = 2_000
_DEFER_BATCH_SIZE = 250
"""Texts that one claim defers: this locks SQLite for some 10 ms."""


Clock = Callable[[], int]
_Senders = Mapping[str, SendingNumber]


@dataclass(frozen=True)
class ClaimedText:
    """Everything one attempt needs, read at one moment: no attempt mixes two configurations."""

    attempt_id: str
    delivery_id: int
    kind: str
    mode: Mode
    credentials: Credentials
    sender: SenderSettings
    sent_to: str
    body: str
    claimed_at_us: int
    slot_us: int
    lease_until_ms: int
    validity_seconds: int


@dataclass(frozen=True)
class ClaimCycle:
    """`next_claim_us` is when the next claim can take something; None if nothing is waiting."""

    claimed: tuple[ClaimedText, ...]
    next_claim_us: int | None


def record_and_claim(results: Sequence[SmsResult], capacity: int, clock: Clock, lead_time_us: int = 0) -> ClaimCycle:
    """`clock` (microseconds) is read once the lock is held, or slots would start in the past.

    `lead_time_us` is the time from there until the texts are sent: no slot starts earlier.
    """
    with transaction(_TRANSACTION_TIMEOUT_SECONDS):
        record_results(results, clock() // 1000)
        gateway = app_settings.resolve_current_gateway(clock() // 1000)
        route = gateway.test_message_route if capacity > 0 else None
        in_use = [sender.sender_key for sender in route.sender.individual_senders] if route else []
        if any(concerns_sender(result) for result in results):
            lock_all_senders()
        senders = lock_senders_by_key([*in_use, *(result.sender for result in results)])
        _update_breaker_state(results, senders, clock())
        _update_sender_limits(results, senders, clock() // 1000)
        if route is None or is_stopped(route.override_number):
            return ClaimCycle((), None)
        return _claim(route, senders, gateway.send_route is None, capacity, clock, lead_time_us)


def _update_breaker_state(results: Sequence[SmsResult], senders: _Senders, now_us: int) -> None:
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


def _update_sender_limits(results: Sequence[SmsResult], senders: _Senders, now_ms: int) -> None:
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


def _claim(
    route: SendRoute, senders: _Senders, only_tests: bool, capacity: int, clock: Clock, lead_time_us: int
) -> ClaimCycle:
    now_us = clock()
    now_ms = now_us // 1000
    pool = build_sender_pool(route.sender, senders, now_us)
    if pool.all_cooling_down:
        return ClaimCycle((), min(member.cooldown_ends_us for member in pool.members))
    only_tests = only_tests or pool.all_senders_paused
    running_lanes = lane_state.running_lanes("sms")
    batch = pool.read_batch(capacity, running_lanes, only_tests)
    texts = _apply_send_states(batch.texts, now_ms)
    texts = _defer_for_quiet_hours(texts, route.mode, now_ms)
    texts = [text for text in texts if not _skip_if_blocked(text, route.mode, now_ms)]
    texts = _postpone_duplicates(texts, route, now_ms)
    read_us = clock()
    assigned = pool.assign_slots(texts, read_us, lead_time_us)
    claimed = tuple(_build_claim(text, member, slot_us, route, read_us) for member, text, slot_us in assigned)
    attempts.start_attempts([_attempt_row(attempt, now_ms) for attempt in claimed], now_ms)
    _advance_lanes([text for _, text, _ in assigned], batch.first_skipped)
    if only_tests and not batch.sender_keys:
        return ClaimCycle((), None)
    return ClaimCycle(claimed, _next_claim_us(pool, running_lanes, batch, now_us))


def _apply_send_states(waiting: list[WaitingText], now_ms: int) -> list[WaitingText]:
    """Pause or cancel texts whose send was paused or cancelled: that takes effect at once."""
    for state in (DeliveryState.PAUSED, DeliveryState.CANCELED):
        ids = [text.delivery_id for text in waiting if text.target_state == state]
        if ids:
            transitions.follow_send(ids, state, now_ms)
    return [text for text in waiting if text.target_state == DeliveryState.READY]


def _advance_lanes(claimed: Sequence[WaitingText], first_skipped: Mapping[int, int]) -> None:
    """Advance each lane to the last text taken, or to where its slowest number is, so that sends share it."""
    for lane in {text.lane for text in claimed}:
        last = max(text.queue_position for text in claimed if text.lane == lane)
        lane_state.advance_lane("sms", lane, min(last, first_skipped.get(lane, last)))


def _defer_for_quiet_hours(waiting: list[WaitingText], mode: Mode, now_ms: int) -> list[WaitingText]:
    """Defer texts in quiet hours, together with a batch of the same time zone."""
    ends_ms = quiet_hours_lookup(now_ms)
    deferred = {
        text.delivery_id: text.timezone
        for text in waiting
        if quiet_hours.is_subject_to_quiet_hours(text.kind, text.lane == Lane.URGENT, mode)
        and ends_ms(text.timezone) is not None
    }
    for zone in set(deferred.values()):
        transitions.defer(zone, ends_ms(zone) or now_ms, _DEFER_BATCH_SIZE, now_ms)
    return [text for text in waiting if text.delivery_id not in deferred]


def _skip_if_blocked(text: WaitingText, mode: Mode, now_ms: int) -> bool:
    """Decide again at the moment of sending: a STOP since the fan-out wins."""
    is_expired = routing.is_expired(text.sms_expires_at_ms, now_ms)
    reason = routing.send_block_reason(text.kind, text.recipient, text.is_on_account, is_expired)
    if routing.crosses_test_mode(text.requested_mode, mode):
        reason = Reason.MODE_CHANGED
    if reason is not None:
        transitions.skip(text.delivery_id, reason, now_ms)
    return reason is not None


def _postpone_duplicates(texts: list[WaitingText], route: SendRoute, now_ms: int) -> list[WaitingText]:
    """Keep one of several equal texts in flight: without a link, only phone and words identify a text."""
    linkless = [text for text in texts if text.kind != TextKind.NOTIFICATION]
    if not linkless:
        return texts
    phones = [_destination(text, route) for text in linkless]
    in_flight = attempts.duplicates_in_flight(phones, route.credentials.account_sid)
    postponed: list[int] = []
    for phone, text in zip(phones, linkless, strict=True):
        key = (phone, text.body)
        if key in in_flight:
            postponed.append(text.delivery_id)
        in_flight.add(key)
    unsent_messages.postpone(postponed, now_ms + _DUPLICATE_WAIT_MS)
    return [text for text in texts if text.delivery_id not in postponed]


def _destination(text: WaitingText, route: SendRoute) -> str:
    return route.override_number or text.recipient.phone


def _build_claim(text: WaitingText, member: SenderCapacity, slot_us: int, route: SendRoute, now_us: int) -> ClaimedText:
    return ClaimedText(
        attempt_id=secrets.token_urlsafe(12),
        delivery_id=text.delivery_id,
        kind=text.kind,
        mode=route.mode,
        credentials=route.credentials,
        sender=member.sender,
        sent_to=_destination(text, route),
        body=text.body,
        claimed_at_us=now_us,
        slot_us=slot_us,
        lease_until_ms=slot_us // 1000 + round(settings().sms_lease_seconds * 1000),
        validity_seconds=routing.validity_seconds(text.sms_expires_at_ms, slot_us // 1000),
    )


def _attempt_row(attempt: ClaimedText, now_ms: int) -> dict[str, object]:
    return {
        "id": attempt.attempt_id,
        "delivery_id": attempt.delivery_id,
        "mode": attempt.mode.value,
        "account_sid": attempt.credentials.account_sid,
        "sender": attempt.sender.sender_key,
        "destination": attempt.sent_to,
        "started_at_ms": now_ms,
        "slot_at_ms": attempt.slot_us // 1000,
        "lease_until_ms": attempt.lease_until_ms,
    }


def _next_claim_us(pool: SenderPool, running_lanes: Sequence[int], batch: ClaimBatch, now_us: int) -> int | None:
    """If texts are waiting, when their numbers can take more; otherwise when the next text is due."""
    if batch.sender_keys:
        return pool.next_available_us(batch.sender_keys)
    next_ms = unsent_messages.next_due_ms("sms", running_lanes)
    if next_ms is None:
        return None
    if next_ms * 1000 > now_us:
        return next_ms * 1000
    is_paused = any(member.is_paused for member in pool.members)
    return pool.next_available_us([]) or (None if is_paused else now_us)
