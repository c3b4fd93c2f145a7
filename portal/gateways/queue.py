"""The queue: background work is started by name, after the commit, with ids as arguments.

A call may be lost: the scheduler finds what was left behind. So a queue that cannot be used never fails the caller.
"""

import secrets
import time
from threading import Lock

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

from portal.core.rules.connection_errors import ErrorExplanation, explain_redis_error

QUEUES = ("sms", "email", "work")
JOB_TIMEOUT_SECONDS = 900
"""A job's time limit, a backstop only: jobs hand over long before, and must not be cut off inside a call."""

_FAN_OUT_TIMEOUT_SECONDS = 60
"""RQ keeps the id of a job whose worker died for as long as it may run and a minute; until then nobody else takes it up
by that id. A fan-out hands over after 20 seconds."""

_JOBS = {
    "drain_sms": "sms",
    "drain_email": "email",
    "fan_out_send": "work",
    "order_inbound": "work",
    "apply_send_control": "work",
}
"""What may be rung for, and on which queue. Workers refuse any other function."""

JOB_NAMES = frozenset(f"jobs.tasks.{name}" for name in _JOBS)
_SOCKET_TIMEOUT_SECONDS, _PROBE_TIMEOUT_SECONDS = 3.0, 2.0
_CACHE_SECONDS = 5.0
_QUEUE_ERRORS = (RedisError, OSError, ValueError)
"""ValueError: an address that the client cannot read."""
_log = structlog.get_logger(__name__)


def connect_redis(redis_url: str, timeout_seconds: float = _SOCKET_TIMEOUT_SECONDS) -> Redis:
    """Without the client's own retries: they would hold a page up for seconds while the server is away."""
    return Redis.from_url(
        redis_url, socket_connect_timeout=2, socket_timeout=timeout_seconds, retry=Retry(NoBackoff(), 0)
    )


def open_queue(name: str, connection: Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


def enqueue(redis_url: str, job: str, *ids: int) -> bool:
    """Start a job unless the same one is waiting already. False when the queue did not take it."""
    try:
        with connect_redis(redis_url) as connection:
            written = _enqueue_once(connection, job, ids)
    except _QUEUE_ERRORS as error:
        _monitor_for(redis_url).log_change(diagnose_error(error, redis_url))
        return False
    if written:
        _monitor_for(redis_url).log_change(None)
    return True


def queue_problem_now(redis_url: str) -> ErrorExplanation | None:
    """Why the queue cannot be used at this moment; None when it takes work. Waits for it up to two seconds."""
    found = _probe(redis_url)
    _monitor_for(redis_url).record(found)
    return found


def eviction_policy(redis_url: str) -> str | None:
    """What the server does when its memory is full; None when it does not say.

    Asks INFO, not CONFIG, which hosted servers and careful access lists forbid.
    """
    try:
        with connect_redis(redis_url, _PROBE_TIMEOUT_SECONDS) as connection:
            found = connection.info("memory").get("maxmemory_policy")
    except _QUEUE_ERRORS:
        return None
    return str(found) if found else None


def cached_problem(redis_url: str) -> ErrorExplanation | None:
    """As `trouble`, as it was within the last seconds: for what every page shows. Only one caller at a time waits."""
    return _monitor_for(redis_url).current_problem()


def diagnose_error(error: Exception, redis_url: str) -> ErrorExplanation:
    return explain_redis_error(type(error).__name__, str(error), redis_url.startswith("rediss:"))


def _probe(redis_url: str) -> ErrorExplanation | None:
    try:
        with connect_redis(redis_url, _PROBE_TIMEOUT_SECONDS) as connection:
            _probe_writes(connection)
    except _QUEUE_ERRORS as error:
        return diagnose_error(error, redis_url)
    return None


def _probe_writes(connection: Redis) -> None:
    """What taking on a job and handing it out write, under the names they use.

    A server that is full, read-only or out of disk answers PING all the same, and so does one whose access list lets
    us read only.
    """
    one = secrets.token_hex(8)
    job, waiting, note = (f"rq:probe:{one}:job", f"rq:probe:{one}:waiting", f"portal:probe:{one}")
    with connection.pipeline() as pipeline:
        pipeline.eval("return redis.call('EXISTS', KEYS[1])", 1, job)
        pipeline.hset(job, mapping={"status": "queued"})
        pipeline.rpush(waiting, one)
        pipeline.sadd(f"{waiting}:names", one)
        pipeline.zadd(f"{waiting}:registry", {one: 1})
        pipeline.set(note, 1)
        for key in (job, waiting, f"{waiting}:names", f"{waiting}:registry", note):
            pipeline.expire(key, 60)
            pipeline.delete(key)
        pipeline.execute()


class _QueueMonitor:
    """What this process knows of the queue, and whether it has said so: once when it goes, once when it is back."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._asking = Lock()
        self._asked_at: float | None = None
        self._found: ErrorExplanation | None = None
        self._said: ErrorExplanation | None = None

    def current_problem(self) -> ErrorExplanation | None:
        if not self._is_fresh() and self._asking.acquire(blocking=self._asked_at is None):
            try:
                if not self._is_fresh():
                    self.record(_probe(self._redis_url))
            finally:
                self._asking.release()
        return self._found

    def record(self, found: ErrorExplanation | None) -> None:
        self._found, self._asked_at = found, time.monotonic()

    def log_change(self, found: ErrorExplanation | None) -> None:
        """From calls that do work, so that a process tells of what concerns it."""
        if found and not self._said:
            _log.warning("queue unavailable; workers poll the database", cause=str(found))
        elif self._said and not found:
            _log.warning("queue available again")
        self._said = found

    def _is_fresh(self) -> bool:
        return self._asked_at is not None and time.monotonic() < self._asked_at + _CACHE_SECONDS


_monitors: dict[str, _QueueMonitor] = {}


def _monitor_for(redis_url: str) -> _QueueMonitor:
    return _monitors.setdefault(redis_url, _QueueMonitor(redis_url))


def _enqueue_once(connection: Redis, job: str, ids: tuple[int, ...]) -> bool:
    """Whether anything was written: one drain waiting is enough, since it takes whatever there is; others go by id."""
    bell = open_queue(_JOBS[job], connection)
    if not ids and bell.count > 0:
        return False
    limit = _FAN_OUT_TIMEOUT_SECONDS if job == "fan_out_send" else JOB_TIMEOUT_SECONDS
    options = {"job_id": "-".join([job.replace("_", "-"), *map(str, ids)]), "unique": True} if ids else {}
    try:
        bell.enqueue(f"jobs.tasks.{job}", *ids, job_timeout=limit, result_ttl=0, failure_ttl=1, **options)
    except DuplicateJobError:
        return False
    return True


def store_value(redis_url: str, name: str, value: int) -> None:
    """A number that outlives the database's own memory; lost with Redis, which is borne."""
    try:
        with connect_redis(redis_url) as connection:
            connection.set(f"portal:{name}", value)
    except _QUEUE_ERRORS as error:
        _monitor_for(redis_url).log_change(diagnose_error(error, redis_url))


def load_value(redis_url: str, name: str) -> int | None:
    """None where nothing was remembered, or nobody can be asked."""
    try:
        with connect_redis(redis_url) as connection:
            value = connection.get(f"portal:{name}")
    except _QUEUE_ERRORS:
        return None
    return int(value) if value else None
