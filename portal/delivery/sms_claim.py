"""One cycle of the SMS lane: record what came back, claim what may leave next, in one transaction.

Claiming gives every text its slot (`core.rules.pacing`), and writes an attempt with a lease before anything is sent.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from portal.accounts.tables.phone_numbers import is_stopped
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import quiet_hours, routing
from portal.core.rules.lanes import Lane
from portal.core.rules.routing import Mode, Reason, TextKind
from portal.core.transaction import transaction
from portal.delivery.rules.circuit_breaker import (
    UNSENT_PROBE_RETRY_US,
    count_unanswered_calls,
    next_probe_us,
    outage_started_ms,
)
from portal.delivery.sender_limits import apply_quota_limit, record_refusal
from portal.delivery.sms_results import SmsResult, concerns_sender, cooldown_after, record_results
from portal.delivery.sms_scheduling import ClaimBatch, SenderCapacity, SenderPool, build_sender_pool
from portal.delivery.tables.ready_queue import WaitingText
from portal.gateways.outcomes import Accepted, NotSent, UnrecognizedError
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.messages.tables import lane_state, transitions, unsent_messages
from portal.messages.tables.communications import Attempt
from portal.sends.deferred_texts import quiet_hours_lookup
from portal.settings import app_settings
from portal.settings.rules.app_config import SendRoute
from portal.settings.tables.sending_numbers import SendingNumber, lock_all_senders, lock_senders_by_key

_TRANSACTION_TIMEOUT_SECONDS = 10
"""A cycle takes milliseconds; the whole lane waits for a worker that holds the sender and is cut off."""
_DUPLICATE_WAIT_MS = 2_000
_DEFER_BATCH_SIZE = 250
"""Texts that one claim moves to the end of quiet hours: SQLite is locked for some 10 ms meanwhile."""


@dataclass(frozen=True)
class ClaimedText:
    """All that one attempt needs, taken at one moment: no attempt mixes two configurations."""

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
    """`next_us` is when the next claim can take something; None when nothing waits."""

    claimed: tuple[ClaimedText, ...]
    next_claim_us: int | None


def record_and_claim(
    results: Sequence[SmsResult], capacity: int, clock: Callable[[], int], lead_time_us: int = 0
) -> ClaimCycle:
    """`clock` gives microseconds since 1970; it is read once the lock is held, or slots would begin in the past.

    `lead_us` is how long it takes from there until the texts are on their way: no slot begins before that.
    """
    with transaction(_TRANSACTION_TIMEOUT_SECONDS):
        record_results(results, clock() // 1000)
        found = app_settings.resolve_current_gateway(clock() // 1000)
        door = found.test_message_route if capacity > 0 else None
        in_use = [one.sender_key for one in door.sender.individual_senders] if door else []
        if any(concerns_sender(result) for result in results):
            lock_all_senders()
        senders = lock_senders_by_key([*in_use, *(result.sender for result in results)])
        _update_breaker_state(results, senders, clock())
        _update_sender_limits(results, senders, clock() // 1000)
        return (
            _claim(door, senders, found.send_route is None, capacity, clock, lead_time_us)
            if door
            else ClaimCycle((), None)
        )


def _update_breaker_state(results: Sequence[SmsResult], senders: Mapping[str, SendingNumber], now_us: int) -> None:
    """Of each sender: how many calls in a row were not answered, since when, and until when it rests for that.

    A provider that answers at one number is away from none.
    """
    answers_again = any(result.answered for result in results)
    for sender in senders.values() if answers_again else ():
        sender.down_since_ms = None
    for number in {result.sender for result in results}:
        its = [result for result in results if result.sender == number]
        answers = [result.answered for result in its if result.answered is not None]
        sender = senders[number]
        failures = count_unanswered_calls(sender.consecutive_failures, answers)
        if failures != sender.consecutive_failures:
            sender.consecutive_failures, sender.retry_at_us = failures, next_probe_us(failures, now_us)
        elif not answers:
            sender.retry_at_us = min(sender.retry_at_us, now_us + UNSENT_PROBE_RETRY_US)
        if not answers_again:
            unreached = any(result.was_unreachable for result in its)
            sender.down_since_ms = outage_started_ms(sender.down_since_ms, failures, unreached, now_us // 1000)


def _update_sender_limits(results: Sequence[SmsResult], senders: Mapping[str, SendingNumber], now_ms: int) -> None:
    """Whether others pass, a limit is used up, or nobody passes any more: in the order of the answers."""
    for result in results:
        if isinstance(result.outcome, Accepted) and senders[result.sender].unrecognized_rejections:
            senders[result.sender].unrecognized_rejections = ""
        if not concerns_sender(result):
            continue
        attempt = db.session.get_one(Attempt, result.attempt_id, populate_existing=True)
        if attempt.provider_id is not None:
            continue  # there is proof that it was taken: what contradicts it has no effect
        if isinstance(result.outcome, UnrecognizedError):
            record_refusal(attempt, result.outcome.code, result.outcome.message, now_ms)
        elif isinstance(result.outcome, NotSent) and (rest := cooldown_after(result.outcome)):
            apply_quota_limit(result.sender, result.outcome.code, rest, attempt.started_at_ms, now_ms)


def _claim(
    door: SendRoute,
    senders: Mapping[str, SendingNumber],
    only_tests: bool,
    capacity: int,
    clock: Callable[[], int],
    lead_time_us: int,
) -> ClaimCycle:
    if is_stopped(door.override_number):
        return ClaimCycle((), None)
    now_us = clock()
    found = build_sender_pool(door.sender, senders, now_us)
    if found.all_cooling_down:
        return ClaimCycle((), min(seat.cooldown_ends_us for seat in found.members))
    only_tests = only_tests or found.all_senders_paused
    running_lanes = lane_state.running_lanes("sms")
    read = found.read_batch(capacity, running_lanes, only_tests)
    going = _apply_send_states(read.texts, now_us // 1000)
    going = _defer_for_quiet_hours(going, door.mode, now_us // 1000)
    going = [text for text in going if not _skip_if_blocked(text, door.mode, now_us // 1000)]
    going = _postpone_duplicates(going, door, now_us // 1000)
    read_us = clock()
    taken = found.assign_slots(going, read_us, lead_time_us)
    claimed = tuple(_build_claim(text, seat, slot_us, door, read_us) for seat, text, slot_us in taken)
    transitions.start_attempts([_attempt_row(attempt, now_us // 1000) for attempt in claimed], now_us // 1000)
    _advance_lanes([text for _, text, _ in taken], read.first_skipped)
    if only_tests and not read.sender_keys:
        return ClaimCycle((), None)
    return ClaimCycle(claimed, _next_claim_us(found, running_lanes, read, now_us))


def _apply_send_states(waiting: list[WaitingText], now_ms: int) -> list[WaitingText]:
    """Without those whose send was paused or cancelled meanwhile: that takes effect at once."""
    for other in ("paused", "canceled"):
        ids = [text.delivery_id for text in waiting if text.target_state == other]
        if ids:
            transitions.apply_send_state(ids, other, now_ms)
    return [text for text in waiting if text.target_state == "ready"]


def _advance_lanes(taken: Sequence[WaitingText], first_left: Mapping[int, int]) -> None:
    """The lane has got to the last text taken; of several numbers to where the slowest is: there sends share."""
    for number in {text.lane for text in taken}:
        last = max(text.queue_position for text in taken if text.lane == number)
        lane_state.advance_lane("sms", number, min(last, first_left.get(number, last)))


def _defer_for_quiet_hours(waiting: list[WaitingText], mode: Mode, now_ms: int) -> list[WaitingText]:
    """Where it is night now, a good part of the zone's texts is moved out of the way at once."""
    ends_ms = quiet_hours_lookup(now_ms)
    asleep = {
        text.delivery_id: text.timezone
        for text in waiting
        if quiet_hours.is_subject_to_quiet_hours(text.kind, text.lane == Lane.URGENT, mode)
        and ends_ms(text.timezone) is not None
    }
    for zone in set(asleep.values()):
        transitions.defer(zone, ends_ms(zone) or now_ms, _DEFER_BATCH_SIZE, now_ms)
    return [text for text in waiting if text.delivery_id not in asleep]


def _skip_if_blocked(text: WaitingText, mode: Mode, now_ms: int) -> bool:
    """The decision once more at the moment of sending: a STOP since the fan-out wins."""
    too_late = routing.is_expired(text.sms_expires_at_ms, now_ms)
    refusal = routing.send_block_reason(text.kind, text.recipient, text.is_on_account, too_late)
    if routing.crosses_test_mode(text.requested_mode, mode):
        refusal = Reason.MODE_CHANGED
    if refusal is not None:
        transitions.skip_delivery(text.delivery_id, refusal, now_ms)
    return refusal is not None


def _postpone_duplicates(going: list[WaitingText], door: SendRoute, now_ms: int) -> list[WaitingText]:
    """A text without a link can be told from its like only by number and words: one of a kind is out at a time."""
    linkless = [text for text in going if text.kind != TextKind.NOTIFICATION]
    if not linkless:
        return going
    out = transitions.duplicates_in_flight([_sent_to(text, door) for text in linkless], door.credentials.account_sid)
    later: list[int] = []
    for text in linkless:
        twin = (_sent_to(text, door), text.body)
        if twin in out:
            later.append(text.delivery_id)
        out.add(twin)
    transitions.postpone(later, now_ms + _DUPLICATE_WAIT_MS)
    return [text for text in going if text.delivery_id not in later]


def _sent_to(text: WaitingText, door: SendRoute) -> str:
    return door.override_number or text.recipient.phone


def _build_claim(text: WaitingText, seat: SenderCapacity, slot_us: int, door: SendRoute, now_us: int) -> ClaimedText:
    return ClaimedText(
        attempt_id=secrets.token_urlsafe(12),
        delivery_id=text.delivery_id,
        kind=text.kind,
        mode=door.mode,
        credentials=door.credentials,
        sender=seat.sender,
        sent_to=_sent_to(text, door),
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


def _next_claim_us(found: SenderPool, running: Sequence[int], read: ClaimBatch, now_us: int) -> int | None:
    """With texts waiting, when their numbers take some again; else when the next one's time comes."""
    if read.sender_keys:
        return found.next_available_us(read.sender_keys)
    next_ms = unsent_messages.next_due_ms("sms", running)
    if next_ms is None or next_ms * 1000 > now_us:
        return None if next_ms is None else next_ms * 1000
    paused = any(seat.is_paused for seat in found.members)
    return found.next_available_us([]) or (None if paused else now_us)
