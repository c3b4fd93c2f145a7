"""One cycle of the SMS lane: record what came back, claim what may leave next, in one transaction.

Claiming gives every text its slot (`domain.pacing`), and writes an attempt with a lease before anything is sent.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from portal.actions import settings as app_settings
from portal.actions.night import quiet_ends
from portal.actions.sending_numbers import record_refusal, apply_quota_limit
from portal.actions.sms_record import Result, limit_of, record, says_of_number
from portal.actions.sms_seats import Read, Seat, Seats, seats
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import quiet_hours, routing
from portal.domain.app_config import Credentials, SendRoute, SenderSettings
from portal.domain.breaker import GIVEN_BACK_US, away_since_ms, failures_after, rests_until_us
from portal.domain.routing import Mode, Reason, TextKind
from portal.extensions import db
from portal.gateways.outcomes import Accepted, NotProcessed, Unexplained
from portal.models import claims, due, lane
from portal.models.communication import Attempt
from portal.models.due import Waiting
from portal.models.gateway import Sender, lock_senders, locked_senders
from portal.models.phone import is_stopped

_LONGEST_SECONDS = 10
"""A cycle takes milliseconds; the whole lane waits for a worker that holds the sender and is cut off."""
_TWIN_WAIT_MS = 2_000
_REST_AT_ONCE = 250
"""Texts that one claim moves to the end of quiet hours: SQLite is locked for some 10 ms meanwhile."""


@dataclass(frozen=True)
class Claimed:
    """All that one attempt needs, taken at one moment: no attempt mixes two configurations."""

    attempt_id: str
    delivery_id: int
    kind: str
    mode: Mode
    credentials: Credentials
    sender: SenderSettings
    sent_to: str
    body: str
    claimed_us: int
    slot_us: int
    lease_until_ms: int
    validity_seconds: int


@dataclass(frozen=True)
class Cycle:
    """`next_us` is when the next claim can take something; None when nothing waits."""

    claimed: tuple[Claimed, ...]
    next_us: int | None


def cycle(results: Sequence[Result], capacity: int, clock: Callable[[], int], lead_us: int = 0) -> Cycle:
    """`clock` gives microseconds since 1970; it is read once the lock is held, or slots would begin in the past.

    `lead_us` is how long it takes from there until the texts are on their way: no slot begins before that.
    """
    with transaction(_LONGEST_SECONDS):
        record(results, clock() // 1000)
        found = app_settings.resolve_current_gateway(clock() // 1000)
        door = found.test_message_route if capacity > 0 else None
        in_use = [one.sender_key for one in door.sender.individual_senders] if door else []
        if any(says_of_number(result) for result in results):
            lock_senders()
        senders = locked_senders([*in_use, *(result.sender for result in results)])
        _heed(results, senders, clock())
        _heed_number(results, senders, clock() // 1000)
        return _claim(door, senders, found.send_route is None, capacity, clock, lead_us) if door else Cycle((), None)


def _heed(results: Sequence[Result], senders: Mapping[str, Sender], now_us: int) -> None:
    """Of each sender: how many calls in a row were not answered, since when, and until when it rests for that.

    A provider that answers at one number is away from none.
    """
    answers_again = any(result.answered for result in results)
    for sender in senders.values() if answers_again else ():
        sender.away_since_ms = None
    for number in {result.sender for result in results}:
        its = [result for result in results if result.sender == number]
        answers = [result.answered for result in its if result.answered is not None]
        sender = senders[number]
        failures = failures_after(sender.failures, answers)
        if failures != sender.failures:
            sender.failures, sender.rests_until_us = failures, rests_until_us(failures, now_us)
        elif not answers:
            sender.rests_until_us = min(sender.rests_until_us, now_us + GIVEN_BACK_US)
        if not answers_again:
            unreached = any(result.unreached for result in its)
            sender.away_since_ms = away_since_ms(sender.away_since_ms, failures, unreached, now_us // 1000)


def _heed_number(results: Sequence[Result], senders: Mapping[str, Sender], now_ms: int) -> None:
    """Whether others pass, a limit is used up, or nobody passes any more: in the order of the answers."""
    for result in results:
        if isinstance(result.outcome, Accepted) and senders[result.sender].refused_in_a_row:
            senders[result.sender].refused_in_a_row = ""
        if not says_of_number(result):
            continue
        attempt = db.session.get_one(Attempt, result.attempt_id, populate_existing=True)
        if attempt.provider_id is not None:
            continue  # there is proof that it was taken: what contradicts it has no effect
        if isinstance(result.outcome, Unexplained):
            record_refusal(attempt, result.outcome.code, result.outcome.words, now_ms)
        elif isinstance(result.outcome, NotProcessed) and (rest := limit_of(result.outcome)):
            apply_quota_limit(result.sender, result.outcome.code, rest, attempt.started_at_ms, now_ms)


def _claim(
    door: SendRoute,
    senders: Mapping[str, Sender],
    only_tests: bool,
    capacity: int,
    clock: Callable[[], int],
    lead_us: int,
) -> Cycle:
    if is_stopped(door.override_number):
        return Cycle((), None)
    now_us = clock()
    found = seats(door.sender, senders, now_us)
    if found.rest:
        return Cycle((), min(seat.rests_until_us for seat in found.all))
    only_tests = only_tests or found.are_paused
    running = lane.running("sms")
    read = found.read(capacity, running, only_tests)
    going = _still_wanted(read.texts, now_us // 1000)
    going = _without_resting(going, door.mode, now_us // 1000)
    going = [text for text in going if not _skip_if_refused(text, door.mode, now_us // 1000)]
    going = _without_twins(going, door, now_us // 1000)
    read_us = clock()
    taken = found.take(going, read_us, lead_us)
    claimed = tuple(_attempt(text, seat, slot_us, door, read_us) for seat, text, slot_us in taken)
    claims.start_attempts([_row(attempt, now_us // 1000) for attempt in claimed], now_us // 1000)
    _move_on([text for _, text, _ in taken], read.first_left)
    if only_tests and not read.keys:
        return Cycle((), None)
    return Cycle(claimed, _next_claim_us(found, running, read, now_us))


def _still_wanted(waiting: list[Waiting], now_ms: int) -> list[Waiting]:
    """Without those whose send was paused or cancelled meanwhile: that takes effect at once."""
    for other in ("held", "canceled"):
        ids = [text.delivery_id for text in waiting if text.wanted == other]
        if ids:
            claims.set_aside(ids, other, now_ms)
    return [text for text in waiting if text.wanted == "ready"]


def _move_on(taken: Sequence[Waiting], first_left: Mapping[int, int]) -> None:
    """The lane has got to the last text taken; of several numbers to where the slowest is: there sends share."""
    for number in {text.lane for text in taken}:
        last = max(text.turn for text in taken if text.lane == number)
        lane.move_on("sms", number, min(last, first_left.get(number, last)))


def _without_resting(waiting: list[Waiting], mode: Mode, now_ms: int) -> list[Waiting]:
    """Where it is night now, a good part of the zone's texts is moved out of the way at once."""
    ends_ms = quiet_ends(now_ms)
    asleep = {
        text.delivery_id: text.timezone
        for text in waiting
        if quiet_hours.hold(text.kind, text.lane == due.LANES[0], mode) and ends_ms(text.timezone) is not None
    }
    for zone in set(asleep.values()):
        claims.rest(zone, ends_ms(zone) or now_ms, _REST_AT_ONCE, now_ms)
    return [text for text in waiting if text.delivery_id not in asleep]


def _skip_if_refused(text: Waiting, mode: Mode, now_ms: int) -> bool:
    """The decision once more at the moment of sending: a STOP since the fan-out wins."""
    too_late = routing.is_past(text.sms_expires_at_ms, now_ms)
    refusal = routing.why_not_now(text.kind, text.number, text.on_account, too_late)
    if routing.changes_sides(text.asked_mode, mode):
        refusal = Reason.MODE_CHANGED
    if refusal is not None:
        claims.skip(text.delivery_id, refusal, now_ms)
    return refusal is not None


def _without_twins(going: list[Waiting], door: SendRoute, now_ms: int) -> list[Waiting]:
    """A text without a link can be told from its like only by number and words: one of a kind is out at a time."""
    linkless = [text for text in going if text.kind != TextKind.NOTIFICATION]
    if not linkless:
        return going
    out = claims.open_twins([_sent_to(text, door) for text in linkless], door.credentials.account_sid)
    later: list[int] = []
    for text in linkless:
        twin = (_sent_to(text, door), text.body)
        if twin in out:
            later.append(text.delivery_id)
        out.add(twin)
    claims.put_off(later, now_ms + _TWIN_WAIT_MS)
    return [text for text in going if text.delivery_id not in later]


def _sent_to(text: Waiting, door: SendRoute) -> str:
    return door.override_number or text.number.number


def _attempt(text: Waiting, seat: Seat, slot_us: int, door: SendRoute, now_us: int) -> Claimed:
    return Claimed(
        attempt_id=secrets.token_urlsafe(12),
        delivery_id=text.delivery_id,
        kind=text.kind,
        mode=door.mode,
        credentials=door.credentials,
        sender=seat.sender,
        sent_to=_sent_to(text, door),
        body=text.body,
        claimed_us=now_us,
        slot_us=slot_us,
        lease_until_ms=slot_us // 1000 + round(settings().sms_lease_seconds * 1000),
        validity_seconds=routing.validity_seconds(text.sms_expires_at_ms, slot_us // 1000),
    )


def _row(attempt: Claimed, now_ms: int) -> dict[str, object]:
    return {
        "id": attempt.attempt_id,
        "delivery_id": attempt.delivery_id,
        "mode": attempt.mode.value,
        "account_sid": attempt.credentials.account_sid,
        "sender": attempt.sender.sender_key,
        "sent_to": attempt.sent_to,
        "started_at_ms": now_ms,
        "slot_at_ms": attempt.slot_us // 1000,
        "lease_until_ms": attempt.lease_until_ms,
    }


def _next_claim_us(found: Seats, running: Sequence[int], read: Read, now_us: int) -> int | None:
    """With texts waiting, when their numbers take some again; else when the next one's time comes."""
    if read.keys:
        return found.opens_us(read.keys)
    next_ms = due.next_waiting_ms("sms", running)
    if next_ms is None or next_ms * 1000 > now_us:
        return None if next_ms is None else next_ms * 1000
    paused = any(seat.is_paused for seat in found.all)
    return found.opens_us([]) or (None if paused else now_us)
