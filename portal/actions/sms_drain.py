"""Draining the SMS lane: claim a little ahead, keep many requests in flight, record, hand over after a while.

One thread talks to the database; each request in flight has a thread of its own, which waits for its slot.
No transaction is open while a request is under way.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import structlog

from portal.actions.sms_claim import Claimed, Cycle, cycle
from portal.actions.sms_record import Released, Result
from portal.actions.transaction import transaction
from portal.context import settings
from portal.gateways import queue
from portal.gateways.outcomes import Outcome, Unknown
from portal.gateways.twilio import MOST_IN_FLIGHT, Text, TwilioGateway
from portal.models import claims

_log = structlog.get_logger(__name__)

DRAIN_SECONDS = 20.0
_LATE_US = 200_000
"""A text that missed its slot by more takes a new one: sending it now would crowd the second it falls into."""
_LINGER_SECONDS = 0.01
_MOST_PATIENCE_SECONDS = 1.0
_VALIDITY_SECONDS = 14_400


def now_us() -> int:
    return time.time_ns() // 1000


class Drain:
    """One run over the lane, ending after `seconds`, when nothing waits, or when `should_stop` says so."""

    def __init__(
        self,
        gateway: TwilioGateway,
        seconds: float = DRAIN_SECONDS,
        should_stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._should_stop = should_stop
        self._ends_us = clock() + round(seconds * 1_000_000)
        self._timeout_ms = round(settings().sms_timeout_seconds * 1000)
        self._results: SimpleQueue[Result] = SimpleQueue()
        self._in_flight = 0

    def run(self) -> bool:
        """True when texts were left waiting for their turn, so that somebody should ring again."""
        results: list[Result] = []
        more = False
        with ThreadPoolExecutor(MOST_IN_FLIGHT, thread_name_prefix="sms") as pool:
            while True:
                capacity = 0 if self._closing() else MOST_IN_FLIGHT - self._in_flight
                found = cycle(results, capacity, self._clock())
                for claimed in found.claimed:
                    self._in_flight += 1
                    pool.submit(self._send, claimed)
                if capacity:
                    more = found.next_us is not None
                if not self._in_flight and (self._closing() or not self._soon(found)):
                    return more
                results = self._gather(found.next_us)

    def _soon(self, found: Cycle) -> bool:
        return found.next_us is not None and found.next_us < self._ends_us

    def _gather(self, until_us: int | None) -> list[Result]:
        """Wait for a result or for the next claim, whichever comes first; then take all that is there."""
        results: list[Result] = []
        try:
            results.append(self._results.get(timeout=self._patience(until_us)))
            time.sleep(_LINGER_SECONDS)
            while True:
                results.append(self._results.get_nowait())
        except Empty:
            self._in_flight -= len(results)
            return results

    def _patience(self, until_us: int | None) -> float:
        """Seconds; never so long that an urgent text or a stop would wait for more than a second."""
        if until_us is None or self._in_flight >= MOST_IN_FLIGHT or self._closing():
            return _MOST_PATIENCE_SECONDS
        return max(0.001, min(_MOST_PATIENCE_SECONDS, (until_us - self._clock()) / 1_000_000))

    def _closing(self) -> bool:
        return self._should_stop() or self._clock() >= self._ends_us

    def _send(self, claimed: Claimed) -> None:
        """In a thread of its own: whatever happens, exactly one result comes back."""
        try:
            outcome = self._call(claimed)
        except Exception as error:  # the attempt is out there: losing its result would lose the text
            _log.exception("a call to Twilio ended in a way nobody foresaw", attempt=claimed.attempt_id)
            outcome = Unknown(f"The call ended unexpectedly ({type(error).__name__}).")
        self._results.put(Result(claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.key, outcome))

    def _call(self, claimed: Claimed) -> Outcome | Released:
        time.sleep(max(0.0, (claimed.slot_us - self._clock()) / 1_000_000))
        late = self._clock() - claimed.slot_us > _LATE_US
        fenced = self._clock() // 1000 > claimed.lease_until_ms - self._timeout_ms
        if late or fenced:
            return Released()
        text = Text(claimed.sent_to, claimed.body, claimed.attempt_id, _VALIDITY_SECONDS)
        return self._gateway.create(claimed.credentials, claimed.sender, text)


def drain_sms(should_stop: Callable[[], bool] = lambda: False, seconds: float = DRAIN_SECONDS) -> None:
    """Send the texts whose turn it is; wakes a second worker when there is plenty, and hands over at the end."""
    found = settings()
    gateway = TwilioGateway(found.twilio_api_url, found.public_url, found.sms_timeout_seconds)
    if claims.next_waiting_ms("sms") is not None:
        queue.ring(found.redis_url, "drain_sms")
    left = Drain(gateway, seconds, should_stop).run()
    with transaction():
        claims.finish_sends(now_us() // 1000)
    if left:
        queue.ring(found.redis_url, "drain_sms")
