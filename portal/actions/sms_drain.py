"""Draining the SMS lane: claim a little ahead, keep many requests in flight, record, hand over after a while.

One thread talks to the database; each request in flight has a thread of its own, which waits for its slot.
No transaction is open while a request is under way.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Lock

import structlog

from portal.actions import tide
from portal.actions.carriers import sms_gateway
from portal.actions.patience import BUSY, patiently
from portal.actions.sms_claim import Claimed, Cycle, cycle
from portal.actions.sms_record import Released, Result, keeps_number
from portal.actions.sms_seats import HORIZON_US
from portal.actions.transaction import transaction
from portal.clock import now_us
from portal.context import settings
from portal.domain.ceiling import Ceiling
from portal.domain.provider_codes import TOO_MANY
from portal.domain.routing import SIMULATED_MODES, TextKind
from portal.gateways import queue
from portal.gateways.outcomes import NotProcessed, Outcome, Unknown
from portal.gateways.provider import MOST_IN_FLIGHT, SmsGateway, Text
from portal.models import claims

_log = structlog.get_logger(__name__)

DRAIN_SECONDS = 20.0
_HAND_OVER_US = 1_000_000
_LONGEST_WAIT_US = HORIZON_US + 1_000_000
_LAST_CALLS_US = HORIZON_US + 500_000
"""So long a run that has had its time waits for its last calls, some of which have slots yet to come, and claims no
new ones. Where one hangs it goes on: the lane must not stand still for as long as a call may take."""
_MOST_RUNS = 5
_LONGEST_QUEUED_US = 800_000
"""What waited longer for a request to end is claimed anew: after a STOP no text may leave for more than a second."""
_FIRST_LEAD_US = 30_000
_LONGEST_LEAD_US = HORIZON_US // 2
_LINGER_SECONDS = 0.02
_TURN_SECONDS = 0.0005
_NEARLY_ALL = MOST_IN_FLIGHT * 3 // 4
_MOST_PATIENCE_SECONDS = 1.0
_ceiling = Ceiling(MOST_IN_FLIGHT)
"""Of this process, from one run to the next."""


class Drain:
    """One run over the lane, ending after `seconds`, when nothing waits, or when `should_stop` says so."""

    def __init__(
        self,
        gateway: SmsGateway,
        seconds: float = DRAIN_SECONDS,
        should_stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], int] = now_us,
        ceiling: Ceiling | None = None,
    ) -> None:
        """`ceiling` is what earlier runs found out of how many requests the provider takes at once."""
        self._gateway = gateway
        self._clock = clock
        self._should_stop = should_stop
        self._seconds_us = round(seconds * 1_000_000)
        self._ends_us = clock() + self._seconds_us
        self._last_end_us = self._ends_us + (_MOST_RUNS - 1) * self._seconds_us
        self._timeout_ms = round(settings().sms_timeout_seconds * 1000)
        self._results: SimpleQueue[Result] = SimpleQueue()
        self._unwritten: list[Result] = []
        self._in_flight = 0
        self._lead_us = _FIRST_LEAD_US
        self._ceiling = ceiling or Ceiling(MOST_IN_FLIGHT)
        self._called = False
        self._refused_us: dict[str, int] = {}
        self._calls = 0
        self._counting = Lock()

    def run(self) -> bool:
        """True when texts were left waiting for their turn, so that somebody should ring again."""
        with _quick_turns(), ThreadPoolExecutor(MOST_IN_FLIGHT, thread_name_prefix="sms") as pool:
            try:
                return self._work(pool)
            except BUSY:
                raise  # there is nowhere to write
            except BaseException:
                self._write_down_the_rest()
                raise

    def _work(self, pool: ThreadPoolExecutor) -> bool:
        next_us: int | None = None
        while True:
            self._go_on_past_a_call_that_hangs()
            capacity = 0 if self._closing() else self._ceiling.capacity(self._in_flight)
            found = self._cycle(capacity)
            for claimed in found.claimed:
                self._in_flight += 1
                pool.submit(self._send, claimed)
            self._lead_by(found)
            if capacity:
                next_us = found.next_us
            self._call_help(capacity, found)
            if not self._in_flight and (self._closing() or not self._within(next_us, self._ends_us)):
                return self._within(next_us, self._clock() + _HAND_OVER_US)
            self._gather(found.next_us)

    def _write_down_the_rest(self) -> None:
        """Whatever broke the run off, what is under way comes back, and would be lost to the texts it belongs to."""
        self._should_stop = lambda: True
        while self._in_flight or self._unwritten:
            self._cycle(0)
            if self._in_flight:
                self._gather(None)

    def _cycle(self, capacity: int) -> Cycle:
        """Recording twice does no harm. Who was told to stop meanwhile claims nothing more."""
        results = list(self._unwritten)
        found = patiently(lambda: cycle(results, 0 if self._should_stop() else capacity, self._clock, self._lead_us))
        del self._unwritten[: len(results)]
        return found

    def _lead_by(self, found: Cycle) -> None:
        """Twice what this claim took: on a busy machine, at a high rate, one text would miss every slot it is given."""
        if found.claimed:
            took_us = self._clock() - found.claimed[0].claimed_us
            self._lead_us = max(0, min(_LONGEST_LEAD_US, 2 * took_us))

    def _call_help(self, capacity: int, found: Cycle) -> None:
        """Once, when this worker alone has as many requests in flight as it can."""
        if not self._called and capacity and len(found.claimed) == capacity:
            self._called = True
            queue.ring(settings().redis_url, "drain_sms")

    @staticmethod
    def _within(next_us: int | None, until_us: int) -> bool:
        return next_us is not None and next_us < until_us

    def _gather(self, until_us: int | None) -> None:
        """Wait for a result or for the next claim, whichever comes first; then take all that is there."""
        with contextlib.suppress(Empty):
            self._take(self._results.get(timeout=self._patience(until_us)))
            time.sleep(_LINGER_SECONDS)
            while True:
                self._take(self._results.get_nowait())

    def _take(self, result: Result) -> None:
        self._unwritten.append(result)
        self._in_flight -= 1
        self._ceiling.heed(isinstance(result.outcome, NotProcessed) and result.outcome.code == TOO_MANY)

    def _patience(self, until_us: int | None) -> float:
        """Seconds; never so long that an urgent text or a stop would wait for more than a second."""
        if until_us is None or self._ceiling.capacity(self._in_flight) <= 0 or self._closing():
            return _MOST_PATIENCE_SECONDS
        return max(0.001, min(_MOST_PATIENCE_SECONDS, (until_us - self._clock()) / 1_000_000))

    def _go_on_past_a_call_that_hangs(self) -> None:
        now_us = self._clock()
        if self._in_flight and self._ends_us + _LAST_CALLS_US <= now_us and self._ends_us < self._last_end_us:
            self._ends_us = now_us + self._seconds_us

    def _closing(self) -> bool:
        return self._should_stop() or self._clock() >= self._ends_us

    def _send(self, claimed: Claimed) -> None:
        """In a thread of its own: whatever happens, exactly one result comes back."""
        try:
            outcome = self._call(claimed)
        except Exception as error:  # the attempt is out there: losing its result would lose the text
            _log.exception("a call to the gateway ended in a way nobody foresaw", attempt=claimed.attempt_id)
            outcome = Unknown(f"The call ended unexpectedly ({type(error).__name__}).")
        if keeps_number(outcome) and claimed.mode not in SIMULATED_MODES:
            self._refused_us[claimed.sender.sender_key] = self._clock()
        self._results.put(
            Result(claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.sender_key, outcome, claimed.kind)
        )

    def _call(self, claimed: Claimed) -> Outcome | Released:
        wait_us = claimed.slot_us - self._clock()
        if wait_us > _LONGEST_WAIT_US:
            return Released()
        time.sleep(max(0.0, wait_us / 1_000_000))
        if self._is_too_late(claimed):
            return Released()
        text = Text(claimed.sent_to, claimed.body, claimed.attempt_id, claimed.validity_seconds)
        with self._calling():
            return self._gateway.create(claimed.credentials, claimed.sender, text)

    def _is_too_late(self, claimed: Claimed) -> bool:
        """While nearly all requests are in use the lane is below its limit, and a late text crowds nobody."""
        now_us = self._clock()
        full = self._calls >= _NEARLY_ALL
        latest_us = claimed.claimed_us + _LONGEST_QUEUED_US if full else claimed.slot_us + _lateness_us(claimed)
        fenced = now_us // 1000 > claimed.lease_until_ms - self._timeout_ms
        # the number is refused: what was claimed before that would only be refused as well
        in_vain = claimed.claimed_us <= self._refused_us.get(claimed.sender.sender_key, 0) and claimed.kind != TextKind.TEST
        return now_us > latest_us or fenced or in_vain

    @contextlib.contextmanager
    def _calling(self) -> Iterator[None]:
        with self._counting:
            self._calls += 1
        try:
            yield
        finally:
            with self._counting:
                self._calls -= 1


@contextlib.contextmanager
def _quick_turns() -> Iterator[None]:
    """Threads hand the interpreter on more often: whose slot has come should not wait while a batch is written down."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _lateness_us(claimed: Claimed) -> int:
    """A text that missed its slot by more takes a new one: sending it now would crowd the second it falls into."""
    return round(max(10_000.0, min(200_000.0, 1_000_000 / claimed.sender.segments_per_second)))


def drain_sms(should_stop: Callable[[], bool] = lambda: False, seconds: float = DRAIN_SECONDS) -> None:
    """Send the texts whose turn it is, and hand over at the end when there is more to do at once."""
    if not tide.is_known_to_be_young(now_us() // 1000):
        return
    found = settings()
    gateway = sms_gateway()
    left = Drain(gateway, seconds, should_stop, ceiling=_ceiling).run()
    with transaction():
        claims.finish_sends(now_us() // 1000)
    if left:
        queue.ring(found.redis_url, "drain_sms")
