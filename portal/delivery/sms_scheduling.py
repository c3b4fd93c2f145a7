"""The sending numbers in a claim: how many texts each may take now, and when it can take some again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from portal.core.rules.pacing import batch_limit, max_reservation_us, plan_slots
from portal.delivery.rules.circuit_breaker import PROVIDER_FAILURE_THRESHOLD, next_probe_us
from portal.delivery.tables import ready_queue
from portal.delivery.tables.ready_queue import Candidate, ExcludedSenders, WaitingText
from portal.gateways.rules.provider_schema import SenderSettings
from portal.settings.tables.sending_numbers import SendingNumber

HORIZON_US = 500_000
"""How far ahead a claim reaches: what changes meanwhile (STOP, a pause, a setting) takes effect within a second."""


@dataclass(frozen=True)
class SenderCapacity:
    """One sending number; `row` is locked. Times are whole microseconds since 1970."""

    sender: SenderSettings
    row: SendingNumber
    now_us: int

    @property
    def is_cooling_down(self) -> bool:
        return self.cooldown_ends_us > self.now_us

    @property
    def cooldown_ends_us(self) -> int:
        """For a provider that does not answer, or for a limit that is used up."""
        return max(self.row.retry_at_us, self.row.limit_resets_at_ms * 1000)

    @property
    def is_paused(self) -> bool:
        """Test texts to its people pass all the same: by them one sees whether the fault is mended."""
        return bool(self.row.paused_reason)

    @property
    def is_full(self) -> bool:
        return self.row.next_free_at_us > self.now_us + HORIZON_US

    @property
    def available_at_us(self) -> int:
        """When half the horizon is used up, or the rest is over."""
        return max(self.now_us, self.row.next_free_at_us - HORIZON_US // 2, self.cooldown_ends_us)

    def max_texts(self, capacity: int) -> int:
        """Texts that it may take; one to try with while the provider does not answer it."""
        if self.row.consecutive_failures >= PROVIDER_FAILURE_THRESHOLD:
            return min(1, capacity)
        return batch_limit(HORIZON_US, self.sender.segments_per_second, capacity)

    def assign_slots(self, texts: Sequence[WaitingText], now_us: int, lead_us: int) -> list[tuple[WaitingText, int]]:
        """A slot for each text, as far as the horizon goes; the row moves on."""
        first_us = max(self.row.next_free_at_us, now_us + lead_us)
        segments = [text.segments for text in texts]
        planned = plan_slots(first_us, now_us, HORIZON_US, self.sender.segments_per_second, segments)
        if planned.slots_us:
            self.row.next_free_at_us = planned.next_free_us
            if self.row.consecutive_failures >= PROVIDER_FAILURE_THRESHOLD:
                self.row.retry_at_us = next_probe_us(self.row.consecutive_failures, now_us)
        return list(zip(texts, planned.slots_us, strict=False))


@dataclass(frozen=True)
class ClaimBatch:
    """Texts that may leave, and the numbers that something waits for, whether it may leave in this claim or not.

    `first_left` has of each lane the turn of the first text that is left for later.
    """

    texts: list[WaitingText]
    sender_keys: frozenset[str]
    first_skipped: Mapping[int, int]


@dataclass(frozen=True)
class SenderPool:
    """All of the sender's numbers. With one alone it does not matter who knows which."""

    sender: SenderSettings
    members: tuple[SenderCapacity, ...]

    @property
    def all_cooling_down(self) -> bool:
        return all(seat.is_cooling_down for seat in self.members)

    @property
    def all_senders_paused(self) -> bool:
        return all(seat.is_paused for seat in self.members)

    def read_batch(self, capacity: int, lanes: Sequence[int], only_tests: bool) -> ClaimBatch:
        """Of several numbers each gets as many as it can take, of those near the head of the lane."""
        now_ms = self.members[0].now_us // 1000
        if len(self.members) == 1:
            texts = ready_queue.waiting_texts(now_ms, self.members[0].max_texts(capacity), lanes, only_tests)
            return ClaimBatch(texts, frozenset([self.sender.sender_key] if texts else []), {})
        head = self._next_candidates(now_ms, lanes, only_tests)
        chosen = list(self._select_candidates([key for _, key in head], capacity))
        ids = [one.delivery_id for (one, _), is_chosen in zip(head, chosen, strict=True) if is_chosen]
        left = [one for (one, _), is_chosen in zip(head, chosen, strict=True) if not is_chosen]
        texts = ready_queue.waiting_texts(now_ms, len(ids), lanes, only_tests, ids) if ids else []
        return ClaimBatch(
            texts, frozenset(key for _, key in head), {one.lane: one.queue_position for one in reversed(left)}
        )

    def assign_slots(
        self, going: Sequence[WaitingText], now_us: int, lead_us: int
    ) -> list[tuple[SenderCapacity, WaitingText, int]]:
        """What leaves from which number at which time, the first first.

        `now_us` is read anew: slots begin when the reading is done, however long that took.
        """
        keys = [self._sender_key_for(text.recipient.phone, text.preferred_sender) for text in going]
        taken: list[tuple[SenderCapacity, WaitingText, int]] = []
        for seat in self.members:
            its = [text for text, key in zip(going, keys, strict=True) if key == seat.sender.sender_key]
            taken += [(seat, *one) for one in seat.assign_slots(its, now_us, lead_us)]
        return sorted(taken, key=lambda one: one[2])

    def next_available_us(self, keys: Collection[str]) -> int | None:
        """When the next claim can take something for these numbers, or one of the others has rested."""
        times = [
            seat.available_at_us for seat in self.members if seat.is_cooling_down or seat.sender.sender_key in keys
        ]
        return min(times, default=None)

    def _next_candidates(self, now_ms: int, lanes: Sequence[int], only_tests: bool) -> list[tuple[Candidate, str]]:
        """The next texts with their numbers. Where those of some numbers fill it, further ones of the others."""
        resting = [seat.sender.sender_key for seat in self.members if seat.is_cooling_down]
        paused = [seat.sender.sender_key for seat in self.members if seat.is_paused]
        passed = ExcludedSenders(self.sender.sender_assignment, tuple(resting), tuple(paused))
        next_candidates = self._with_sender_keys(ready_queue.next_candidates(now_ms, lanes, only_tests, passed))
        seen = {key for _, key in next_candidates}
        idle = {seat.sender.sender_key for seat in self.members if not seat.is_full} - seen - {*resting, *paused}
        if len(next_candidates) < ready_queue.SCAN_LIMIT or not idle:
            return next_candidates
        further = ExcludedSenders(self.sender.sender_assignment, (*resting, *seen), tuple(paused))
        return next_candidates + self._with_sender_keys(
            ready_queue.next_candidates(now_ms, lanes, only_tests, further, ready_queue.DEEP_SCAN_LIMIT)
        )

    def _with_sender_keys(self, found: Sequence[Candidate]) -> list[tuple[Candidate, str]]:
        return [(one, self._sender_key_for(one.phone, one.preferred_sender)) for one in found]

    def _select_candidates(self, keys: Sequence[str], capacity: int) -> Iterator[bool]:
        left = {seat.sender.sender_key: 0 if seat.is_full else seat.max_texts(capacity) for seat in self.members}
        for key in keys:
            chosen = left[key] > 0 and capacity > 0
            yield chosen
            left[key] -= chosen
            capacity -= chosen

    def _sender_key_for(self, number: str, knows: str | None) -> str:
        return (
            self.sender.sender_key
            if len(self.members) == 1
            else self.sender.sender_assignment.sender_for(number, knows)
        )


def build_sender_pool(sender: SenderSettings, rows: Mapping[str, SendingNumber], now_us: int) -> SenderPool:
    """No number is taken for longer than it can rightly be (`core.rules.pacing`): a clock may have been put back."""
    latest_us = now_us + max_reservation_us(sender.segments_per_second, HORIZON_US)
    for one in sender.individual_senders:
        rows[one.sender_key].next_free_at_us = min(rows[one.sender_key].next_free_at_us, latest_us)
    return SenderPool(
        sender, tuple(SenderCapacity(one, rows[one.sender_key], now_us) for one in sender.individual_senders)
    )
