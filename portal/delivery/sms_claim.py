"""One cycle of the SMS lane: record results and claim the next texts, in one transaction.

A claim gives every text its slot (`core.rules.pacing`), and inserts an attempt with a lease before anything is sent.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from portal.accounts.tables.phone_numbers import is_stopped
from portal.core.context import settings
from portal.core.rules import routing
from portal.core.rules.routing import Mode
from portal.core.transaction import transaction
from portal.delivery import claim_policies
from portal.delivery.sender_health import Senders, update_breaker_state, update_sender_limits
from portal.delivery.sms_outcome import SmsResult, concerns_sender
from portal.delivery.sms_results import record_results
from portal.delivery.sms_scheduling import ClaimBatch, SenderCapacity, SenderPool, build_sender_pool
from portal.delivery.tables.ready_queue import WaitingText
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.messages.tables import attempts, lane_state, unsent_messages
from portal.settings import app_settings
from portal.settings.rules.app_config import SendRoute
from portal.settings.tables.sending_numbers import lock_all_senders, lock_senders_by_key

_TRANSACTION_TIMEOUT_SECONDS = 10
"""A cycle takes milliseconds. While a worker that lost its connection holds the sender’s row, the whole lane waits."""
Clock = Callable[[], int]


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
        update_breaker_state(results, senders, clock())
        update_sender_limits(results, senders, clock() // 1000)
        if route is None or is_stopped(route.override_number):
            return ClaimCycle((), None)
        return _claim(route, senders, gateway.send_route is None, capacity, clock, lead_time_us)


def _claim(
    route: SendRoute, senders: Senders, only_tests: bool, capacity: int, clock: Clock, lead_time_us: int
) -> ClaimCycle:
    now_us = clock()
    now_ms = now_us // 1000
    pool = build_sender_pool(route.sender, senders, now_us)
    if pool.all_cooling_down:
        return ClaimCycle((), min(member.cooldown_ends_us for member in pool.members))
    only_tests = only_tests or pool.all_senders_paused
    running_lanes = lane_state.running_lanes("sms")
    batch = pool.read_batch(capacity, running_lanes, only_tests)
    texts = claim_policies.apply_send_states(batch.texts, now_ms)
    texts = claim_policies.defer_for_quiet_hours(texts, route.mode, now_ms)
    texts = claim_policies.skip_blocked(texts, route.mode, now_ms)
    texts = claim_policies.postpone_duplicates(texts, route, now_ms)
    read_us = clock()
    assigned = pool.assign_slots(texts, read_us, lead_time_us)
    claimed = tuple(_build_claim(text, member, slot_us, route, read_us) for member, text, slot_us in assigned)
    attempts.start_attempts([_attempt_row(attempt, now_ms) for attempt in claimed], now_ms)
    _advance_lanes([text for _, text, _ in assigned], batch.first_skipped)
    if only_tests and not batch.sender_keys:
        return ClaimCycle((), None)
    return ClaimCycle(claimed, _next_claim_us(pool, running_lanes, batch, now_us))


def _advance_lanes(claimed: Sequence[WaitingText], first_skipped: Mapping[int, int]) -> None:
    """Advance each lane to the last text taken, or to where its slowest number is, so that sends share it."""
    for lane in {text.lane for text in claimed}:
        last = max(text.queue_position for text in claimed if text.lane == lane)
        lane_state.advance_lane("sms", lane, min(last, first_skipped.get(lane, last)))


def _build_claim(text: WaitingText, member: SenderCapacity, slot_us: int, route: SendRoute, now_us: int) -> ClaimedText:
    return ClaimedText(
        attempt_id=secrets.token_urlsafe(12),
        delivery_id=text.delivery_id,
        kind=text.kind,
        mode=route.mode,
        credentials=route.credentials,
        sender=member.sender,
        sent_to=claim_policies.destination_for(text, route),
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
