"""One cycle of the SMS lane: record results and claim the next texts, in one transaction.

A claim gives every text its slot (`core.rules.pacing`), and inserts an attempt with a lease before anything is sent.
"""

from collections.abc import Sequence

from portal.core.transaction import transaction
from portal.delivery import claim_policies
from portal.delivery.sender_health import lock_and_update_senders
from portal.delivery.sms_attempt import SmsResult, claim_text
from portal.delivery.sms_results import record_results
from portal.delivery.sms_scheduling import ClaimCycle, Clock, SenderPool, build_sender_pool
from portal.messages.tables import attempts, lane_state
from portal.settings import app_settings
from portal.settings.rules.app_config import SendRoute

_TRANSACTION_TIMEOUT_SECONDS = 10
"""A cycle takes milliseconds. While a worker that lost its connection holds the sender’s row, the whole lane waits."""


def record_and_claim(results: Sequence[SmsResult], capacity: int, clock: Clock, lead_time_us: int = 0) -> ClaimCycle:
    """`clock` (microseconds) is read once the lock is held, or slots would start in the past.

    `lead_time_us` is the time from there until the texts are sent: no slot starts earlier.
    """
    with transaction(_TRANSACTION_TIMEOUT_SECONDS):
        record_results(results, clock() // 1000)
        gateway = app_settings.resolve_current_gateway(clock() // 1000)
        route = gateway.test_message_route if capacity > 0 else None
        senders = lock_and_update_senders(results, route.sender if route else None, clock)
        if route is None or claim_policies.is_override_opted_out(route):
            return ClaimCycle((), None)
        pool = build_sender_pool(route.sender, senders, clock())
        return _claim(pool, route, gateway.send_route is None, capacity, clock, lead_time_us)


def _claim(
    pool: SenderPool, route: SendRoute, only_tests: bool, capacity: int, clock: Clock, lead_time_us: int
) -> ClaimCycle:
    if pool.all_cooling_down:
        return ClaimCycle((), pool.cooldown_ends_us)
    now_ms = pool.now_us // 1000
    batch = pool.read_batch(capacity, only_tests or pool.all_senders_paused)
    texts = claim_policies.apply_send_states(batch.texts, now_ms)
    texts = claim_policies.defer_for_quiet_hours(texts, route, now_ms)
    texts = claim_policies.skip_blocked(texts, route, now_ms)
    texts = claim_policies.postpone_duplicates(texts, route, now_ms)
    read_us = clock()
    slots = pool.assign_slots(texts, read_us, lead_time_us)
    claimed = tuple(
        claim_text(text, claim_policies.destination_for(text, route), route, sender, slot_us, read_us)
        for sender, text, slot_us in slots
    )
    attempts.start_attempts([text.attempt for text in claimed], now_ms)
    lane_state.advance_lanes("sms", [(text.lane, text.queue_position) for _, text, _ in slots], batch.first_skipped)
    return ClaimCycle(claimed, pool.next_claim_us(batch))
