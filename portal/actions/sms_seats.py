"""The sending numbers in a claim: how many texts each may take now, and when it can take some again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from portal.domain.app_config import SenderSettings
from portal.domain.breaker import OPENS_AFTER, rests_until_us
from portal.domain.pacing import batch_limit, latest_free_us, plan
from portal.models import due
from portal.models.due import Candidate, Passed, Waiting
from portal.models.gateway import Sender

HORIZON_US = 500_000
"""How far ahead a claim reaches: what changes meanwhile (STOP, a pause, a setting) takes effect within a second."""


@dataclass(frozen=True)
class Seat:
    """One sending number; `row` is locked. Times are whole microseconds since 1970."""

    sender: SenderSettings
    row: Sender
    now_us: int

    @property
    def rests(self) -> bool:
        return self.rests_until_us > self.now_us

    @property
    def rests_until_us(self) -> int:
        """For a provider that does not answer, or for a limit that is used up."""
        return max(self.row.rests_until_us, self.row.limit_until_ms * 1000)

    @property
    def is_paused(self) -> bool:
        """Test texts to its people pass all the same: by them one sees whether the fault is mended."""
        return bool(self.row.paused_reason)

    @property
    def is_full(self) -> bool:
        return self.row.next_free_at_us > self.now_us + HORIZON_US

    @property
    def opens_us(self) -> int:
        """When half the horizon is used up, or the rest is over."""
        return max(self.now_us, self.row.next_free_at_us - HORIZON_US // 2, self.rests_until_us)

    def most(self, capacity: int) -> int:
        """Texts that it may take; one to try with while the provider does not answer it."""
        if self.row.failures >= OPENS_AFTER:
            return min(1, capacity)
        return batch_limit(HORIZON_US, self.sender.segments_per_second, capacity)

    def take(self, texts: Sequence[Waiting], now_us: int, lead_us: int) -> list[tuple[Waiting, int]]:
        """A slot for each text, as far as the horizon goes; the row moves on."""
        first_us = max(self.row.next_free_at_us, now_us + lead_us)
        segments = [text.segments for text in texts]
        planned = plan(first_us, now_us, HORIZON_US, self.sender.segments_per_second, segments)
        if planned.slots_us:
            self.row.next_free_at_us = planned.next_free_us
            if self.row.failures >= OPENS_AFTER:
                self.row.rests_until_us = rests_until_us(self.row.failures, now_us)
        return list(zip(texts, planned.slots_us, strict=False))


@dataclass(frozen=True)
class Read:
    """Texts that may leave, and the numbers that something waits for, whether it may leave in this claim or not.

    `first_left` has of each lane the turn of the first text that is left for later.
    """

    texts: list[Waiting]
    keys: frozenset[str]
    first_left: Mapping[int, int]


@dataclass(frozen=True)
class Seats:
    """All of the sender's numbers. With one alone it does not matter who knows which."""

    sender: SenderSettings
    all: tuple[Seat, ...]

    @property
    def rest(self) -> bool:
        return all(seat.rests for seat in self.all)

    @property
    def are_paused(self) -> bool:
        return all(seat.is_paused for seat in self.all)

    def read(self, capacity: int, lanes: Sequence[int], only_tests: bool) -> Read:
        """Of several numbers each gets as many as it can take, of those near the head of the lane."""
        now_ms = self.all[0].now_us // 1000
        if len(self.all) == 1:
            texts = due.waiting_texts(now_ms, self.all[0].most(capacity), lanes, only_tests)
            return Read(texts, frozenset([self.sender.sender_key] if texts else []), {})
        head = self._head(now_ms, lanes, only_tests)
        chosen = list(self._choose([key for _, key in head], capacity))
        ids = [one.delivery_id for (one, _), is_chosen in zip(head, chosen, strict=True) if is_chosen]
        left = [one for (one, _), is_chosen in zip(head, chosen, strict=True) if not is_chosen]
        texts = due.waiting_texts(now_ms, len(ids), lanes, only_tests, ids) if ids else []
        return Read(texts, frozenset(key for _, key in head), {one.lane: one.turn for one in reversed(left)})

    def take(self, going: Sequence[Waiting], now_us: int, lead_us: int) -> list[tuple[Seat, Waiting, int]]:
        """What leaves from which number at which time, the first first.

        `now_us` is read anew: slots begin when the reading is done, however long that took.
        """
        keys = [self._key_for(text.number.number, text.knows) for text in going]
        taken: list[tuple[Seat, Waiting, int]] = []
        for seat in self.all:
            its = [text for text, key in zip(going, keys, strict=True) if key == seat.sender.sender_key]
            taken += [(seat, *one) for one in seat.take(its, now_us, lead_us)]
        return sorted(taken, key=lambda one: one[2])

    def opens_us(self, keys: Collection[str]) -> int | None:
        """When the next claim can take something for these numbers, or one of the others has rested."""
        times = [seat.opens_us for seat in self.all if seat.rests or seat.sender.sender_key in keys]
        return min(times, default=None)

    def _head(self, now_ms: int, lanes: Sequence[int], only_tests: bool) -> list[tuple[Candidate, str]]:
        """The next texts with their numbers. Where those of some numbers fill it, further ones of the others."""
        resting = [seat.sender.sender_key for seat in self.all if seat.rests]
        paused = [seat.sender.sender_key for seat in self.all if seat.is_paused]
        passed = Passed(self.sender.sender_assignment, tuple(resting), tuple(paused))
        head = self._with_keys(due.head(now_ms, lanes, only_tests, passed))
        seen = {key for _, key in head}
        idle = {seat.sender.sender_key for seat in self.all if not seat.is_full} - seen - {*resting, *paused}
        if len(head) < due.HEAD or not idle:
            return head
        further = Passed(self.sender.sender_assignment, (*resting, *seen), tuple(paused))
        return head + self._with_keys(due.head(now_ms, lanes, only_tests, further, due.DEEP))

    def _with_keys(self, found: Sequence[Candidate]) -> list[tuple[Candidate, str]]:
        return [(one, self._key_for(one.number, one.knows)) for one in found]

    def _choose(self, keys: Sequence[str], capacity: int) -> Iterator[bool]:
        left = {seat.sender.sender_key: 0 if seat.is_full else seat.most(capacity) for seat in self.all}
        for key in keys:
            chosen = left[key] > 0 and capacity > 0
            yield chosen
            left[key] -= chosen
            capacity -= chosen

    def _key_for(self, number: str, knows: str | None) -> str:
        return self.sender.sender_key if len(self.all) == 1 else self.sender.sender_assignment.key_for(number, knows)


def seats(sender: SenderSettings, rows: Mapping[str, Sender], now_us: int) -> Seats:
    """No number is taken for longer than it can rightly be (`domain.pacing`): a clock may have been put back."""
    latest_us = now_us + latest_free_us(sender.segments_per_second, HORIZON_US)
    for one in sender.individual_senders:
        rows[one.sender_key].next_free_at_us = min(rows[one.sender_key].next_free_at_us, latest_us)
    return Seats(sender, tuple(Seat(one, rows[one.sender_key], now_us) for one in sender.individual_senders))
