"""An RQ worker for one queue, in one process, that runs nothing but our own tasks.

One queue per worker (docs/reliability.md#one-queue-per-worker). No fork per job: a job drains its queue
for seconds, so isolation is worth less than the time and memory a fork costs, and the database's leases cover a crash.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.job_lifecycle import call_exception_handlers
from rq.serializers import JSONSerializer
from rq.worker.base import StopRequested, WorkerStatus
from sqlalchemy.exc import SQLAlchemyError

from jobs import shutdown, tasks
from jobs.app import app
from portal.core.clock import now_ms
from portal.core.config import Settings
from portal.core.context import settings
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.gateways import queue

_HEARTBEAT_SECONDS = 10.0
_POLL_SECONDS = 1.0
"""Without Redis, how long to wait between two looks for work."""
_WORKER_TTL_SECONDS = 20
"""RQ waits for a job for 15 seconds less, then writes a sign of life: so soon an idle worker sees that Redis takes no
writes any more."""
_MIN_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS = 30.0, 600.0
"""A worker that Redis sends away, while it takes writes, does without it for so long; twice as long the next time."""

_log = structlog.get_logger(__name__)


class AllowlistedJob(Job):  # type: ignore[misc]
    """A job that names anything but one of our tasks fails: whoever can write to Redis must not own the worker."""

    @property
    def func(self) -> Callable[..., Any]:
        if self.func_name not in queue.JOB_NAMES:
            raise PermissionError(f"{self.func_name} is not one of our tasks")
        found: Callable[..., Any] = super().func
        return found

    def restore(self, raw_data: Any) -> Any:
        """Nor may it name functions or addresses to be called afterwards."""
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks: list[Any] = []
        return restored


class PortalWorker(SimpleWorker):  # type: ignore[misc]
    redis_error: RedisError | None = None
    """Why it left."""

    def request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """Lets the job in hand end and write down what came back; the drain looks at `stopping` several times a second.

        RQ would note it in Redis here, in the middle of whatever the job does, and break off at a second signal.
        """
        shutdown.request_shutdown()
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def _install_signal_handlers(self) -> None:
        """A signal that came before RQ heeds them would be forgotten, and the worker would listen for ever."""
        super()._install_signal_handlers()
        if shutdown.is_shutdown_requested():
            self._stop_requested = True

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """RQ would log the exception's words and the job's arguments, which may quote what was typed or stored."""
        _log.error("a job failed", job=job.id, queue=job.origin, exc_info=exc_info)
        call_exception_handlers(self._exc_handlers, job, *exc_info)

    def handle_job_failure(self, job: Job, queue: Queue, *arguments: Any, **details: Any) -> None:
        """Nor are those words kept in Redis."""
        super().handle_job_failure(
            job, queue, *arguments, **details | {"exc_string": "The worker's log has the place."}
        )

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ would wait for a Redis that is away, longer each time; this worker ends, to go on without it."""
        with self._stop_on_redis_error():
            super().heartbeat(timeout, pipeline)

    def dequeue_job_and_maintain_ttl(self, *args: Any, **kwargs: Any) -> tuple[Job, Queue] | None:
        with self._stop_on_redis_error():
            found: tuple[Job, Queue] | None = super().dequeue_job_and_maintain_ttl(*args, **kwargs)
        return found

    def execute_job(self, job: Job, queue: Queue) -> None:
        with self._stop_on_redis_error():
            super().execute_job(job, queue)

    @contextlib.contextmanager
    def _stop_on_redis_error(self) -> Iterator[None]:
        """Redis may be away, full or read-only: RQ would tell of each with a stack trace."""
        try:
            yield
        except RedisError as error:
            self.redis_error = error
            raise StopRequested from None


def run_worker(name: str) -> int:
    """Work on one queue until told to stop, with Redis or without it."""
    with app().app_context():
        found = settings()
    beating = _start_heartbeat(name)
    try:
        _run_pending(name)  # what a worker that died had begun, the queue may hold to be under way still
        rest_seconds = 0.0
        while not shutdown.is_shutdown_requested():
            _poll_database(name, found, rest_seconds)
            if not shutdown.is_shutdown_requested():
                rest_seconds = _next_backoff_seconds(rest_seconds) if _consume_queue(name, found) else 0.0
    finally:
        beating.set()
    return 0


def _next_backoff_seconds(last_seconds: float) -> float:
    return min(_MAX_BACKOFF_SECONDS, max(_MIN_BACKOFF_SECONDS, 2 * last_seconds))


def _consume_queue(name: str, found: Settings) -> bool:
    """Take jobs until told to stop, or until Redis is lost. True when Redis sent this worker away, and seems well."""
    began = time.monotonic()
    worker = _worker(name, found)
    lost: RedisError | None = None
    try:
        # Redis may remember one of this name: us before Redis went, or a container's first process before its restart
        worker.register_death()
        worker.work(logging_level="WARNING")
    except RedisError as error:
        lost = error
    except StopRequested:
        pass  # a signal while RQ was leaving already
    finally:
        shutdown.install_signal_handlers()  # RQ took them over, and gives them back to nobody
        shutdown.wait_for_shutdown(0.1)
    broke_off = isinstance(worker.redis_error or lost, NoConnection | NoAnswer) and time.monotonic() > began + 1
    return not broke_off and not shutdown.is_shutdown_requested() and queue.queue_problem_now(found.redis_url) is None


def _worker(name: str, found: Settings) -> PortalWorker:
    return PortalWorker(
        [queue.open_queue(name, queue.connect_redis(found.redis_url))],
        connection=_blocking_connection(found.redis_url),
        name=f"{name}-{socket.gethostname()}-{os.getpid()}",
        serializer=JSONSerializer,
        job_class=AllowlistedJob,
        worker_ttl=_WORKER_TTL_SECONDS,
        maintenance_interval=60,
        log_job_description=False,
    )


def _blocking_connection(redis_url: str) -> Redis:
    """RQ waits for jobs with a blocking read that must outlast its own time-out."""
    return Redis.from_url(redis_url, socket_connect_timeout=5)


def _poll_database(name: str, found: Settings, rest_seconds: float) -> None:
    """While Redis takes no work nobody can ring: the worker looks for itself, since what must be done stands elsewhere.

    For `rest_seconds` at least, also where Redis seems well: it sent this worker away a moment ago.
    """
    rests_until, said = time.monotonic() + rest_seconds, False
    while not shutdown.is_shutdown_requested() and (trouble := _redis_problem(found, rests_until)):
        if not said:
            _log.warning("Redis unavailable; polling the database", queue=name, cause=str(trouble))
            said = True
        _run_pending(name)
        shutdown.wait_for_shutdown(_POLL_SECONDS)
    if said and not shutdown.is_shutdown_requested():
        _log.warning("Redis available again; consuming the queue", queue=name)


def _redis_problem(found: Settings, rests_until: float) -> object:
    queue_problem_now = queue.queue_problem_now(found.redis_url)
    return queue_problem_now or (_REJECTED_BY_REDIS if time.monotonic() < rests_until else None)


_REJECTED_BY_REDIS = "It took a write, and refused the worker itself."


def _run_pending(name: str) -> None:
    try:
        tasks.run_pending(name)
    except SQLAlchemyError:
        _log.exception("polling the database failed; will retry", queue=name)


def _start_heartbeat(name: str) -> Event:
    """Signs of life from a thread of its own, so that a long job does not look like a dead worker."""
    ended = Event()
    Thread(target=_heartbeat_loop, args=(name, ended), daemon=True, name="heartbeat").start()
    return ended


def _heartbeat_loop(name: str, ended: Event) -> None:
    while True:
        with app().app_context():
            try:
                maintenance.record_heartbeat(
                    f"worker:{name}:{socket.gethostname()}:{os.getpid()}", f"worker:{name}", now_ms()
                )
            except SQLAlchemyError:
                with contextlib.suppress(OSError):  # a full disk may take no log either
                    _log.warning("could not write heartbeat; will retry")
            finally:
                db.session.remove()
        if ended.wait(_HEARTBEAT_SECONDS):
            return


def main(name: str) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    shutdown.install_signal_handlers()
    return run_worker(name)
