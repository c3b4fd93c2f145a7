"""The queue: starts background jobs by name, after the commit, with ids as arguments.

A job may be lost, because the scheduler finds the pending work. So an unavailable queue never fails the caller.
"""

import json
import secrets
import time
from contextlib import suppress
from threading import Lock
from typing import Any

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from portal.core.rules.connection_errors import ErrorExplanation, explain_redis_error

QUEUES = ("sms", "email", "work")
JOB_TIMEOUT_SECONDS = 900
"""A backstop only: jobs stop long before, and must not be cut off during a call to a provider."""

_TIMEOUT_SECONDS = {
    "fan_out_send": 60,
    "run_import_task": 300,
    "check_recipient_file": 120,
    "export_communications": 120,
    "write_proof": 120,
}
"""If a worker dies, RQ keeps its job's id for this long and a minute, and blocks a job with the same id until then. A
fan-out job and an export stop after 20 seconds, and so does a check, once it has read the rows that are checked."""

_KEPT = {"result_ttl": 3_600, "failure_ttl": 86_400}
_KEPT_OF_DRAINS = {"result_ttl": 60, "failure_ttl": 3_600}
"""For how many seconds Redis keeps ended jobs for pages. Drain jobs are many."""

_JOBS = {
    "drain_sms": "sms",
    "drain_email": "email",
    "fan_out_send": "work",
    "apply_send_control": "work",
    "run_import_task": "work",
    "check_recipient_file": "work",
    "export_communications": "work",
    "delete_expired": "work",
    "write_proof": "work",
}
"""The jobs that can be enqueued, and their queues. Workers refuse any other function."""

JOB_NAMES = frozenset(f"jobs.tasks.{name}" for name in _JOBS)
_SOCKET_TIMEOUT_SECONDS, _PROBE_TIMEOUT_SECONDS = 3.0, 2.0
_CACHE_SECONDS = 5.0
QUEUE_ERRORS = (RedisError, OSError, ValueError)
"""ValueError: a URL that the client cannot parse."""
_log = structlog.get_logger(__name__)


def connect_redis(redis_url: str, timeout_seconds: float = _SOCKET_TIMEOUT_SECONDS) -> Redis:
    """Without the client's retries, which would delay a page for seconds while the server is down."""
    return Redis.from_url(
        redis_url, socket_connect_timeout=2, socket_timeout=timeout_seconds, retry=Retry(NoBackoff(), 0)
    )


def open_queue(name: str, connection: Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


def enqueue(redis_url: str, job: str, *ids: int) -> bool:
    """Start a job unless the same one is already waiting. Returns False if the queue is unavailable."""
    try:
        with connect_redis(redis_url) as connection:
            was_added = enqueue_once(connection, job, *ids)
    except QUEUE_ERRORS as error:
        _monitor_for(redis_url).log_change(diagnose_error(error, redis_url))
        return False
    if was_added:
        _monitor_for(redis_url).log_change(None)
    return True


def queue_problem_now(redis_url: str) -> ErrorExplanation | None:
    """Why the queue is unavailable now; None if it accepts work. Waits up to two seconds for Redis."""
    problem = _probe(redis_url)
    _monitor_for(redis_url).record(problem)
    return problem


def eviction_policy(redis_url: str) -> str | None:
    """What Redis does when its memory is full; None if unknown.

    Uses INFO, because hosted servers and strict access lists forbid CONFIG.
    """
    try:
        with connect_redis(redis_url, _PROBE_TIMEOUT_SECONDS) as connection:
            policy = connection.info("memory").get("maxmemory_policy")
    except QUEUE_ERRORS:
        return None
    return str(policy) if policy else None


def cached_problem(redis_url: str) -> ErrorExplanation | None:
    """`queue_problem_now`, cached for some seconds, for every page. Only one caller at a time waits for Redis."""
    return _monitor_for(redis_url).current_problem()


def diagnose_error(error: Exception, redis_url: str) -> ErrorExplanation:
    return explain_redis_error(type(error).__name__, str(error), redis_url.startswith("rediss:"))


def _probe(redis_url: str) -> ErrorExplanation | None:
    try:
        with connect_redis(redis_url, _PROBE_TIMEOUT_SECONDS) as connection:
            _probe_writes(connection)
    except QUEUE_ERRORS as error:
        return diagnose_error(error, redis_url)
    return None


def _probe_writes(connection: Redis) -> None:
    """Make the kinds of writes that enqueuing and dequeuing a job make, with the same key prefixes.

    A server that is full, read-only, out of disk or that only lets us read still answers PING.
    """
    token = secrets.token_hex(8)
    job, waiting, value = (f"rq:probe:{token}:job", f"rq:probe:{token}:waiting", f"portal:probe:{token}")
    with connection.pipeline() as pipeline:
        pipeline.eval("return redis.call('EXISTS', KEYS[1])", 1, job)
        pipeline.hset(job, mapping={"status": "queued"})
        pipeline.rpush(waiting, token)
        pipeline.sadd(f"{waiting}:names", token)
        pipeline.zadd(f"{waiting}:registry", {token: 1})
        pipeline.set(value, 1)
        for key in (job, waiting, f"{waiting}:names", f"{waiting}:registry", value):
            pipeline.expire(key, 60)
            pipeline.delete(key)
        pipeline.execute()


class _QueueMonitor:
    """Caches the state of the queue, and logs once when it becomes unavailable and once when it recovers."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._probe_lock = Lock()
        self._probed_at: float | None = None
        self._problem: ErrorExplanation | None = None
        self._logged_problem: ErrorExplanation | None = None

    def current_problem(self) -> ErrorExplanation | None:
        if not self._is_fresh() and self._probe_lock.acquire(blocking=self._probed_at is None):
            try:
                if not self._is_fresh():
                    self.record(_probe(self._redis_url))
            finally:
                self._probe_lock.release()
        return self._problem

    def record(self, problem: ErrorExplanation | None) -> None:
        self._problem, self._probed_at = problem, time.monotonic()

    def log_change(self, problem: ErrorExplanation | None) -> None:
        """Called by operations that use the queue, not by probes, so that a process only logs what affects it."""
        if problem and not self._logged_problem:
            _log.warning("queue unavailable; workers poll the database", cause=str(problem))
        elif self._logged_problem and not problem:
            _log.warning("queue available again")
        self._logged_problem = problem

    def _is_fresh(self) -> bool:
        return self._probed_at is not None and time.monotonic() < self._probed_at + _CACHE_SECONDS


_monitors: dict[str, _QueueMonitor] = {}


def _monitor_for(redis_url: str) -> _QueueMonitor:
    return _monitors.setdefault(redis_url, _QueueMonitor(redis_url))


def job_id(job: str, *ids: int) -> str:
    return "-".join([job.replace("_", "-"), *map(str, ids)])


def enqueue_once(connection: Redis, job: str, *ids: int) -> bool:
    """Returns False if the job is already waiting: a drain job processes everything; other jobs are unique by ids."""
    queue = open_queue(_JOBS[job], connection)
    if not ids and queue.count > 0:
        return False
    options: dict[str, Any] = dict(_KEPT_OF_DRAINS)
    if ids:
        id = job_id(job, *ids)
        options = {**_KEPT, "job_id": id, "unique": True, "meta": forget_ended_job(queue, id)}
    timeout_seconds = _TIMEOUT_SECONDS.get(job, JOB_TIMEOUT_SECONDS)
    try:
        queue.enqueue(f"jobs.tasks.{job}", *ids, job_timeout=timeout_seconds, **options)
    except DuplicateJobError:
        return False
    return True


def forget_ended_job(queue: Queue, id: str) -> dict[str, Any]:
    """Make the id of an ended job free, because RQ's `unique` refuses every id that Redis still keeps.

    Returns what the next job of that id should know: why the last one failed. A job that has been started again in the
    meantime is left alone. Anything that neither waits nor runs has ended, also what an emptied Redis left of a job.
    """
    with suppress(WatchError), queue.connection.pipeline() as pipeline:
        pipeline.watch(Job.key_for(id))
        status, meta = pipeline.hmget(Job.key_for(id), "status", "meta")
        if status in (JobStatus.QUEUED.encode(), JobStatus.STARTED.encode()):
            return {}
        pipeline.multi()
        pipeline.delete(Job.key_for(id), f"rq:results:{id}")
        queue.finished_job_registry.remove(id, pipeline=pipeline)
        queue.failed_job_registry.remove(id, pipeline=pipeline)
        pipeline.execute()
        if status == JobStatus.FAILED.encode():
            return {"earlier_failure": json.loads(meta or "{}").get("failure", "")}
    return {}


def store_value(redis_url: str, name: str, value: int) -> None:
    """Store an integer in Redis, so that it survives a restore of the database. Losing it is acceptable."""
    try:
        with connect_redis(redis_url) as connection:
            connection.set(f"portal:{name}", value)
    except QUEUE_ERRORS as error:
        _monitor_for(redis_url).log_change(diagnose_error(error, redis_url))


def load_value(redis_url: str, name: str) -> int | None:
    """None if the value is not stored or Redis is unavailable."""
    try:
        with connect_redis(redis_url) as connection:
            value = connection.get(f"portal:{name}")
    except QUEUE_ERRORS:
        return None
    return int(value) if value else None
