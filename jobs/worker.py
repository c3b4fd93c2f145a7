"""An RQ worker that runs only our own tasks, for one queue (docs/reliability.md#one-queue-per-worker).

It does not fork for each job: the database's leases cover a crash, so isolation is not worth the time and memory.
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
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.job_lifecycle import call_exception_handlers
from rq.serializers import JSONSerializer
from rq.worker.base import StopRequested, WorkerStatus
from sqlalchemy.exc import SQLAlchemyError

from jobs import shutdown, tasks
from jobs.app import app
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.delivery import maintenance
from portal.gateways import job_reports, queue

_HEARTBEAT_SECONDS = 10.0
_POLL_SECONDS = 1.0
"""Interval between polls of the database while Redis is unavailable."""
_WORKER_TTL_SECONDS = 20
"""RQ waits for a job 15 seconds less than this, then writes a heartbeat: an idle worker notices within that time that
Redis refuses writes."""
_MIN_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS = 30.0, 600.0
"""If Redis rejects the worker although it accepts writes, the worker polls this long; twice as long the next time."""

_log = structlog.get_logger(__name__)


class AllowlistedJob(Job):  # type: ignore[misc]
    """A job that fails unless it names one of our tasks: write access to Redis must not allow code execution."""

    @property
    def func(self) -> Callable[..., Any]:
        if self.func_name not in queue.JOB_NAMES:
            raise PermissionError(f"{self.func_name} is not one of our tasks")
        task: Callable[..., Any] = super().func
        return task

    def restore(self, raw_data: Any) -> Any:
        """Drop callbacks and webhooks, which a job could name as well."""
        restored = super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks: list[Any] = []
        return restored


class PortalWorker(SimpleWorker):  # type: ignore[misc]
    redis_error: RedisError | None = None
    """The reason why the worker stopped, if it was Redis."""

    def request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        """Let the current job finish; it checks for shutdown several times a second.

        RQ's own handler would call Redis here, in the middle of the job, and abort the job at a second signal.
        """
        shutdown.request_shutdown()
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def _install_signal_handlers(self) -> None:
        """Honour a signal that came before RQ installed its handlers; the worker would never stop otherwise."""
        super()._install_signal_handlers()
        if shutdown.is_shutdown_requested():
            self._stop_requested = True

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """RQ would log the exception's message and the job's arguments, which may quote input or stored data."""
        _log.error("job failed", job=job.id, queue=job.origin, exc_info=exc_info)
        job_reports.record_failure(job, exc_info[1])
        call_exception_handlers(self._exc_handlers, job, *exc_info)

    def handle_job_failure(self, job: Job, queue: Queue, *arguments: Any, **details: Any) -> None:
        """Keep the exception's message out of Redis too."""
        super().handle_job_failure(job, queue, *arguments, **details | {"exc_string": "See the worker's log."})

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """RQ would wait for an unavailable Redis, longer each time; this worker stops and continues without it."""
        with self._stop_on_redis_error():
            super().heartbeat(timeout, pipeline)

    def dequeue_job_and_maintain_ttl(self, *args: Any, **kwargs: Any) -> tuple[Job, Queue] | None:
        with self._stop_on_redis_error():
            job: tuple[Job, Queue] | None = super().dequeue_job_and_maintain_ttl(*args, **kwargs)
        return job

    def execute_job(self, job: Job, queue: Queue) -> None:
        with self._stop_on_redis_error():
            super().execute_job(job, queue)

    @contextlib.contextmanager
    def _stop_on_redis_error(self) -> Iterator[None]:
        """Stop if Redis is unavailable, full or read-only; RQ would log a stack trace for each."""
        try:
            yield
        except RedisError as error:
            self.redis_error = error
            raise StopRequested from None


def run_worker(name: str) -> int:
    """Process one queue until shutdown, with Redis or without it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    shutdown.install_signal_handlers()
    with app().app_context():
        redis_url = settings().redis_url
    heartbeat_stop = Event()
    # In a separate thread, so that a long job does not look like a dead worker.
    Thread(target=_heartbeat_loop, args=(name, heartbeat_stop), daemon=True, name="heartbeat").start()
    try:
        _run_pending(name)  # the queue may still count a dead worker's job as running
        backoff_seconds = 0.0
        while not shutdown.is_shutdown_requested():
            _poll_database(name, redis_url, backoff_seconds)
            if not shutdown.is_shutdown_requested():
                is_rejected = _consume_queue(name, redis_url)
                next_seconds = min(_MAX_BACKOFF_SECONDS, max(_MIN_BACKOFF_SECONDS, 2 * backoff_seconds))
                backoff_seconds = next_seconds if is_rejected else 0.0
    finally:
        heartbeat_stop.set()
    return 0


def _consume_queue(name: str, redis_url: str) -> bool:
    """Process jobs until shutdown or a Redis error. Returns True if Redis rejected the worker but seems healthy."""
    started = time.monotonic()
    worker = _create_worker(name, redis_url)
    try:
        # Redis may know a worker of this name: this one before an outage, or a container's process before its restart
        worker.register_death()
        worker.work(logging_level="WARNING")
    except RedisError as error:
        worker.redis_error = worker.redis_error or error
    except StopRequested:
        pass  # a signal while RQ was already stopping
    finally:
        shutdown.install_signal_handlers()  # RQ replaced them and does not restore them
        shutdown.wait_for_shutdown(0.1)
    is_connection_error = isinstance(worker.redis_error, RedisConnectionError | RedisTimeoutError)
    lost_connection = is_connection_error and time.monotonic() > started + 1
    return not (lost_connection or shutdown.is_shutdown_requested() or queue.queue_problem_now(redis_url))


def _create_worker(name: str, redis_url: str) -> PortalWorker:
    return PortalWorker(
        [queue.open_queue(name, queue.connect_redis(redis_url))],
        # without a read timeout, because RQ waits for jobs with a blocking read
        connection=Redis.from_url(redis_url, socket_connect_timeout=5),
        name=f"{name}-{socket.gethostname()}-{os.getpid()}",
        serializer=JSONSerializer,
        job_class=AllowlistedJob,
        worker_ttl=_WORKER_TTL_SECONDS,
        maintenance_interval=60,
        log_job_description=False,
    )


def _poll_database(name: str, redis_url: str, backoff_seconds: float) -> None:
    """While Redis is unavailable, poll the database for pending work, which does not depend on Redis.

    Poll for at least `backoff_seconds`, even if Redis seems healthy, because it has just rejected this worker.
    """
    retry_at, is_polling = time.monotonic() + backoff_seconds, False
    while not shutdown.is_shutdown_requested() and (problem := _redis_problem(redis_url, retry_at)):
        if not is_polling:
            _log.warning("redis unavailable; polling the database", queue=name, cause=str(problem))
            is_polling = True
        _run_pending(name)
        shutdown.wait_for_shutdown(_POLL_SECONDS)
    if is_polling and not shutdown.is_shutdown_requested():
        _log.warning("redis available again; consuming the queue", queue=name)


def _redis_problem(redis_url: str, retry_at: float) -> object:
    rejected = "Redis accepted a write but rejected the worker." if time.monotonic() < retry_at else None
    return queue.queue_problem_now(redis_url) or rejected


def _run_pending(name: str) -> None:
    try:
        tasks.run_pending(name)
    except SQLAlchemyError:
        _log.exception("polling the database failed; will retry", queue=name)


def _heartbeat_loop(name: str, stop: Event) -> None:
    process = f"worker:{name}:{socket.gethostname()}:{os.getpid()}"
    while True:
        with app().app_context():
            try:
                maintenance.record_heartbeat(process, f"worker:{name}", now_ms())
            except SQLAlchemyError:
                with contextlib.suppress(OSError):  # on a full disk, logging may fail too
                    _log.warning("could not write heartbeat; will retry")
            finally:
                db.session.remove()
        if stop.wait(_HEARTBEAT_SECONDS):
            return
