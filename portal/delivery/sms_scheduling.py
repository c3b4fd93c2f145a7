"""The sending numbers in a claim: how many texts each can take now, and when it can take more."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from portal.core.rules.pacing import batch_limit, max_reservation_us, plan_slots
from portal.delivery.rules.circuit_breaker import SMS_BREAKER
from portal.delivery.sms_attempt import ClaimedText
from portal.delivery.tables import ready_queue
from portal.delivery.tables.ready_queue import Candidate, ExcludedSenders, WaitingText
from portal.gateways.rules.provider_schema import SenderSettings
from portal.messages.tables import lane_state, unsent_messages
from portal.settings.tables.sending_numbers import SendingNumber

HORIZON_US = 500_000
"""How far ahead a claim reaches: a STOP, a pause or a new setting takes effect within a second."""
MAX_SLOT_WAIT_US = HORIZON_US + 1_000_000
"""A slot further ahead was assigned before the clock was set back."""
Clock = Callable[[], int]


@dataclass(frozen=True)
class SenderCapacity:
    """One sending number with its locked row. Times are whole microseconds since 1970."""

    sender: SenderSettings
    row: SendingNumber
    now_us: int

    @property
    def is_cooling_down(self) -> bool:
        return self.cooldown_ends_us > self.now_us

    @property
    def cooldown_ends_us(self) -> int:
        """When the number may send again after an outage or a used-up limit."""
        return max(self.row.retry_at_us, self.row.limit_resets_at_ms * 1000)

    @property
    def is_paused(self) -> bool:
        """Test texts are still sent: they show whether the fault is fixed."""
        return bool(self.row.paused_reason)

    @property
    def is_full(self) -> bool:
        return self.row.next_free_at_us > self.now_us + HORIZON_US

    @property
    def available_at_us(self) -> int:
        """When half of the horizon is used up, or the cooldown ends."""
        return max(self.now_us, self.row.next_free_at_us - HORIZON_US // 2, self.cooldown_ends_us)

    def max_texts(self, capacity: int) -> int:
        """Texts it can take; a single probe while the provider does not answer."""
        if SMS_BREAKER.is_open(self.row.consecutive_failures):
            return min(1, capacity)
        return batch_limit(HORIZON_US, self.sender.segments_per_second, capacity)

    def assign_slots(self, texts: list[WaitingText], now_us: int, lead_time_us: int) -> list[tuple[WaitingText, int]]:
        """Assign slots as far as the horizon reaches, and advance the row."""
        first_us = max(self.row.next_free_at_us, now_us + lead_time_us)
        segments = [text.segments for text in texts]
        plan = plan_slots(first_us, now_us, HORIZON_US, self.sender.segments_per_second, segments)
        if plan.slots_us:
            self.row.next_free_at_us = plan.next_free_us
            if probe_delay_ms := SMS_BREAKER.probe_delay_ms(self.row.consecutive_failures):
                self.row.retry_at_us = now_us + probe_delay_ms * 1000
        return list(zip(texts, plan.slots_us, strict=False))


@dataclass(frozen=True)
class ClaimBatch:
    """Texts that may be sent now. `sender_keys` are the numbers of all texts that were looked at.

    `first_skipped` maps each lane to the queue position of its first text left for later, so that the lane does not
    advance past its slowest number, and sends share it.
    """

    texts: list[WaitingText]
    sender_keys: frozenset[str]
    first_skipped: Mapping[int, int]
    lanes: Sequence[int]
    only_tests: bool


@dataclass(frozen=True)
class ClaimCycle:
    """`next_claim_us` is when the next claim can take something; None if nothing is waiting."""

    claimed: tuple[ClaimedText, ...]
    next_claim_us: int | None


@dataclass(frozen=True)
class SenderPool:
    """All sending numbers. A single number needs no assignment."""

    sender: SenderSettings
    members: tuple[SenderCapacity, ...]
    now_us: int

    @property
    def all_cooling_down(self) -> bool:
        return all(member.is_cooling_down for member in self.members)

    @property
    def cooldown_ends_us(self) -> int:
        return min(member.cooldown_ends_us for member in self.members)

    @property
    def all_senders_paused(self) -> bool:
        return all(member.is_paused for member in self.members)

    def read_batch(self, capacity: int, only_tests: bool) -> ClaimBatch:
        """Take as many texts near the head of the lane as each number can send."""
        now_ms, lanes = self.now_us // 1000, lane_state.running_lanes("sms")
        if len(self.members) == 1:
            texts = ready_queue.waiting_texts(now_ms, self.members[0].max_texts(capacity), lanes, only_tests)
            keys = frozenset([self.sender.sender_key] if texts else [])
            return ClaimBatch(texts, keys, {}, lanes, only_tests)
        candidates = self._next_candidates(now_ms, lanes, only_tests)
        choices = list(zip(candidates, self._select([key for _, key in candidates], capacity), strict=True))
        ids = [candidate.delivery_id for (candidate, _), is_chosen in choices if is_chosen]
        skipped = [candidate for (candidate, _), is_chosen in choices if not is_chosen]
        texts = ready_queue.waiting_texts(now_ms, len(ids), lanes, only_tests, ids) if ids else []
        first_skipped = {candidate.lane: candidate.queue_position for candidate in reversed(skipped)}
        return ClaimBatch(texts, frozenset(key for _, key in candidates), first_skipped, lanes, only_tests)

    def assign_slots(
        self, texts: Sequence[WaitingText], now_us: int, lead_time_us: int
    ) -> list[tuple[SenderSettings, WaitingText, int]]:
        """In order of slot. `now_us` is read after the query, so that no slot is in the past however long that took."""
        keys = [self._sender_key_for(text.recipient.phone, text.preferred_sender) for text in texts]
        assigned: list[tuple[SenderSettings, WaitingText, int]] = []
        for member in self.members:
            own = [text for text, key in zip(texts, keys, strict=True) if key == member.sender.sender_key]
            slots = member.assign_slots(own, now_us, lead_time_us)
            assigned += [(member.sender, text, slot_us) for text, slot_us in slots]
        return sorted(assigned, key=lambda item: item[2])

    def next_claim_us(self, batch: ClaimBatch) -> int | None:
        """If texts are waiting, when their numbers can take more; otherwise when the next text is due."""
        if batch.sender_keys:
            return self._next_available_us(batch.sender_keys)
        next_ms = None if batch.only_tests else unsent_messages.next_due_ms("sms", batch.lanes)
        if next_ms is None or next_ms * 1000 > self.now_us:
            return next_ms and next_ms * 1000
        is_paused = any(member.is_paused for member in self.members)
        return self._next_available_us([]) or (None if is_paused else self.now_us)

    def _next_available_us(self, keys: Collection[str]) -> int | None:
        """When one of these numbers can take more, or another number’s cooldown ends."""
        members = [item for item in self.members if item.is_cooling_down or item.sender.sender_key in keys]
        return min((member.available_at_us for member in members), default=None)

    def _next_candidates(self, now_ms: int, lanes: Sequence[int], only_tests: bool) -> list[tuple[Candidate, str]]:
        """The next texts with their numbers. If some numbers fill the scan, look further for the others’."""
        cooling = tuple(member.sender.sender_key for member in self.members if member.is_cooling_down)
        paused = tuple(member.sender.sender_key for member in self.members if member.is_paused)
        excluded = ExcludedSenders(self.sender.sender_assignment, cooling, paused)
        candidates = self._with_sender_keys(ready_queue.next_candidates(now_ms, lanes, only_tests, excluded))
        seen = {key for _, key in candidates}
        idle = {member.sender.sender_key for member in self.members if not member.is_full} - seen - {*cooling, *paused}
        if len(candidates) < ready_queue.SCAN_LIMIT or not idle:
            return candidates
        excluded = ExcludedSenders(self.sender.sender_assignment, (*cooling, *seen), paused)
        others = ready_queue.next_candidates(now_ms, lanes, only_tests, excluded, ready_queue.DEEP_SCAN_LIMIT)
        return candidates + self._with_sender_keys(others)

    def _with_sender_keys(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, str]]:
        return [(item, self._sender_key_for(item.phone, item.preferred_sender)) for item in candidates]

    def _select(self, keys: Sequence[str], capacity: int) -> Iterator[bool]:
        available = (member for member in self.members if not member.is_full)
        remaining = Counter({member.sender.sender_key: member.max_texts(capacity) for member in available})
        for key in keys:
            is_chosen = remaining[key] > 0 and capacity > 0
            yield is_chosen
            remaining[key] -= is_chosen
            capacity -= is_chosen

    def _sender_key_for(self, phone: str, preferred: str | None) -> str:
        if len(self.members) == 1:
            return self.sender.sender_key
        return self.sender.sender_assignment.sender_for(phone, preferred)


def build_sender_pool(sender: SenderSettings, rows: Mapping[str, SendingNumber], now_us: int) -> SenderPool:
    """Cap how far each number is booked (`core.rules.pacing`): the clock may have gone back."""
    latest_us = now_us + max_reservation_us(sender.segments_per_second, HORIZON_US)
    senders = sender.individual_senders
    members = tuple(SenderCapacity(individual, rows[individual.sender_key], now_us) for individual in senders)
    for member in members:
        member.row.next_free_at_us = min(member.row.next_free_at_us, latest_us)
    return SenderPool(sender, members, now_us)
