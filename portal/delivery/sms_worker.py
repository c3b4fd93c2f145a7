"""Drain the SMS lane: claim a little ahead, keep many requests in flight, record, hand over after a while.

One thread talks to the database; each request has its own thread, and no transaction is open during it.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from portal.core.clock import now_us
from portal.core.context import settings
from portal.core.database_retry import TRANSIENT_DATABASE_ERRORS, retry_on_database_error
from portal.delivery.lane_run import DRAIN_SECONDS, drain_lane
from portal.delivery.rules.concurrency_limit import ConcurrencyLimit
from portal.delivery.sms_attempt import ClaimedText, SmsResult
from portal.delivery.sms_call import SmsCaller
from portal.delivery.sms_claim import record_and_claim
from portal.delivery.sms_scheduling import HORIZON_US, ClaimCycle
from portal.gateways import queue
from portal.gateways.outcomes import NotSent
from portal.gateways.provider import MAX_IN_FLIGHT, SmsGateway
from portal.gateways.registry import sms_gateway
from portal.gateways.rules.provider_codes import TOO_MANY_REQUESTS

_HAND_OVER_US = 1_000_000
_FINAL_CALLS_GRACE_US = HORIZON_US + 500_000
"""How long a finished run waits for its last calls, some with slots yet to come, without claiming more. If one
hangs, the run continues: the lane must not stand still for as long as a call may take."""
_MAX_RUN_EXTENSIONS = 5
_INITIAL_LEAD_TIME_US = 30_000
_MAX_LEAD_TIME_US = HORIZON_US // 2
_RESULT_BATCH_SECONDS = 0.02
_SWITCH_INTERVAL_SECONDS = 0.0005
_MAX_WAIT_SECONDS = 1.0
_concurrency_limit = ConcurrencyLimit(MAX_IN_FLIGHT)
"""Shared by the runs of this process."""


class SmsWorkerRun:
    """One run over the lane, until `seconds` have passed, nothing is waiting, or `should_stop` returns true."""

    def __init__(
        self,
        gateway: SmsGateway,
        seconds: float = DRAIN_SECONDS,
        should_stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], int] = now_us,
        concurrency_limit: ConcurrencyLimit | None = None,
    ) -> None:
        """`concurrency_limit` carries over what earlier runs learned."""
        self._clock = clock
        self._caller = SmsCaller(gateway, clock)
        self._should_stop = should_stop
        self._seconds_us = round(seconds * 1_000_000)
        self._ends_us = clock() + self._seconds_us
        self._last_end_us = self._ends_us + (_MAX_RUN_EXTENSIONS - 1) * self._seconds_us
        self._results: SimpleQueue[SmsResult] = SimpleQueue()
        self._unrecorded: list[SmsResult] = []
        self._in_flight = 0
        self._lead_time_us = _INITIAL_LEAD_TIME_US
        self._concurrency_limit = concurrency_limit or ConcurrencyLimit(MAX_IN_FLIGHT)
        self._help_requested = False

    def run(self) -> bool:
        """Return whether texts are left that are due at once, so that another run is needed."""
        with contextlib.ExitStack() as stack:
            # switch threads more often: a text whose slot has come must not wait for a batch to be recorded
            stack.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
            pool = stack.enter_context(ThreadPoolExecutor(MAX_IN_FLIGHT, thread_name_prefix="sms"))
            try:
                return self._run_loop(pool)
            except TRANSIENT_DATABASE_ERRORS:
                raise  # results cannot be recorded
            except BaseException:
                self._flush_results()
                raise

    def _run_loop(self, pool: ThreadPoolExecutor) -> bool:
        next_us: int | None = None
        while True:
            self._extend_run_past_hung_call()
            capacity = 0 if self._is_stopping() else self._concurrency_limit.capacity(self._in_flight)
            cycle = self._record_and_claim(capacity)
            for claimed in cycle.claimed:
                self._in_flight += 1
                pool.submit(self._call, claimed)
            self._update_lead_time(cycle)
            if capacity:
                next_us = cycle.next_claim_us
            self._request_another_worker(capacity, cycle)
            if not self._in_flight and (self._is_stopping() or not self._is_before(next_us, self._ends_us)):
                return self._is_before(next_us, self._clock() + _HAND_OVER_US)
            self._collect_results(cycle.next_claim_us)

    def _call(self, claimed: ClaimedText) -> None:
        """In its own thread. Whatever happens, exactly one result is returned."""
        self._results.put(self._caller.send(claimed))

    def _flush_results(self) -> None:
        """Record the results of requests in flight when a run breaks off; otherwise they would be lost."""
        self._should_stop = lambda: True
        while self._in_flight or self._unrecorded:
            self._record_and_claim(0)
            if self._in_flight:
                self._collect_results(None)

    def _record_and_claim(self, capacity: int) -> ClaimCycle:
        """Recording twice does no harm. If told to stop meanwhile, claim nothing more."""
        results = list(self._unrecorded)
        cycle = retry_on_database_error(
            lambda: record_and_claim(results, 0 if self._should_stop() else capacity, self._clock, self._lead_time_us)
        )
        del self._unrecorded[: len(results)]
        return cycle

    def _update_lead_time(self, cycle: ClaimCycle) -> None:
        """Twice the duration of this claim: on a busy machine texts would otherwise miss every slot."""
        if cycle.claimed:
            took_us = self._clock() - cycle.claimed[0].claimed_at_us
            self._lead_time_us = max(0, min(_MAX_LEAD_TIME_US, 2 * took_us))

    def _request_another_worker(self, capacity: int, cycle: ClaimCycle) -> None:
        """Once, if this worker is at its limit of requests in flight."""
        if not self._help_requested and capacity and len(cycle.claimed) == capacity:
            self._help_requested = True
            queue.enqueue(settings().redis_url, "drain_sms")

    @staticmethod
    def _is_before(next_us: int | None, until_us: int) -> bool:
        return next_us is not None and next_us < until_us

    def _collect_results(self, until_us: int | None) -> None:
        """Wait for a result or the next claim, whichever comes first; then take all results there are."""
        with contextlib.suppress(Empty):
            self._add_result(self._results.get(timeout=self._wait_seconds(until_us)))
            time.sleep(_RESULT_BATCH_SECONDS)
            while True:
                self._add_result(self._results.get_nowait())

    def _add_result(self, result: SmsResult) -> None:
        self._unrecorded.append(result)
        self._in_flight -= 1
        too_many = isinstance(result.outcome, NotSent) and result.outcome.code == TOO_MANY_REQUESTS
        self._concurrency_limit.record_response(too_many)

    def _wait_seconds(self, until_us: int | None) -> float:
        """At most a second, so that urgent texts and stops are not delayed."""
        if until_us is None or self._concurrency_limit.capacity(self._in_flight) <= 0 or self._is_stopping():
            return _MAX_WAIT_SECONDS
        return max(0.001, min(_MAX_WAIT_SECONDS, (until_us - self._clock()) / 1_000_000))

    def _extend_run_past_hung_call(self) -> None:
        now_us = self._clock()
        if self._in_flight and self._ends_us + _FINAL_CALLS_GRACE_US <= now_us and self._ends_us < self._last_end_us:
            self._ends_us = now_us + self._seconds_us

    def _is_stopping(self) -> bool:
        return self._should_stop() or self._clock() >= self._ends_us


def drain_sms(should_stop: Callable[[], bool] = lambda: False, seconds: float = DRAIN_SECONDS) -> None:
    """Send due texts, and enqueue another run if more are due at the end."""

    def run() -> bool:
        return SmsWorkerRun(sms_gateway(), seconds, should_stop, concurrency_limit=_concurrency_limit).run()

    drain_lane("sms", run)
