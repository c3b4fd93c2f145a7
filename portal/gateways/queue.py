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

from portal.causes import ErrorExplanation, explain_redis_error

QUEUES = ("sms", "email", "work")
JOB_SECONDS = 900
"""A job's time limit, a backstop only: jobs hand over long before, and must not be cut off inside a call."""

_FAN_OUT_SECONDS = 60
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
_ANSWER_SECONDS, _PROBE_SECONDS = 3.0, 2.0
_LATELY_SECONDS = 5.0
_UNUSABLE = (RedisError, OSError, ValueError)
"""ValueError: an address that the client cannot read."""
_log = structlog.get_logger(__name__)


def connect(redis_url: str, answer_seconds: float = _ANSWER_SECONDS) -> Redis:
    """Without the client's own retries: they would hold a page up for seconds while the server is away."""
    return Redis.from_url(
        redis_url, socket_connect_timeout=2, socket_timeout=answer_seconds, retry=Retry(NoBackoff(), 0)
    )


def queue(name: str, connection: Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


def ring(redis_url: str, job: str, *ids: int) -> bool:
    """Start a job unless the same one is waiting already. False when the queue did not take it."""
    try:
        with connect(redis_url) as connection:
            written = _enqueue(connection, job, ids)
    except _UNUSABLE as error:
        _lately(redis_url).say(cause_of(error, redis_url))
        return False
    if written:
        _lately(redis_url).say(None)
    return True


def trouble(redis_url: str) -> ErrorExplanation | None:
    """Why the queue cannot be used at this moment; None when it takes work. Waits for it up to two seconds."""
    found = _tried(redis_url)
    _lately(redis_url).note(found)
    return found


def policy(redis_url: str) -> str | None:
    """What the server does when its memory is full; None when it does not say.

    Asks INFO, not CONFIG, which hosted servers and careful access lists forbid.
    """
    try:
        with connect(redis_url, _PROBE_SECONDS) as connection:
            found = connection.info("memory").get("maxmemory_policy")
    except _UNUSABLE:
        return None
    return str(found) if found else None


def trouble_lately(redis_url: str) -> ErrorExplanation | None:
    """As `trouble`, as it was within the last seconds: for what every page shows. Only one caller at a time waits."""
    return _lately(redis_url).trouble()


def cause_of(error: Exception, redis_url: str) -> ErrorExplanation:
    return explain_redis_error(type(error).__name__, str(error), redis_url.startswith("rediss:"))


def _tried(redis_url: str) -> ErrorExplanation | None:
    try:
        with connect(redis_url, _PROBE_SECONDS) as connection:
            _write(connection)
    except _UNUSABLE as error:
        return cause_of(error, redis_url)
    return None


def _write(connection: Redis) -> None:
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


class _Lately:
    """What this process knows of the queue, and whether it has said so: once when it goes, once when it is back."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._asking = Lock()
        self._asked_at: float | None = None
        self._found: ErrorExplanation | None = None
        self._said: ErrorExplanation | None = None

    def trouble(self) -> ErrorExplanation | None:
        if not self._is_fresh() and self._asking.acquire(blocking=self._asked_at is None):
            try:
                if not self._is_fresh():
                    self.note(_tried(self._redis_url))
            finally:
                self._asking.release()
        return self._found

    def note(self, found: ErrorExplanation | None) -> None:
        self._found, self._asked_at = found, time.monotonic()

    def say(self, found: ErrorExplanation | None) -> None:
        """From calls that do work, so that a process tells of what concerns it."""
        if found and not self._said:
            _log.warning("the queue takes no work; nothing is lost, workers look into the database", cause=str(found))
        elif self._said and not found:
            _log.warning("the queue takes work again")
        self._said = found

    def _is_fresh(self) -> bool:
        return self._asked_at is not None and time.monotonic() < self._asked_at + _LATELY_SECONDS


_known: dict[str, _Lately] = {}


def _lately(redis_url: str) -> _Lately:
    return _known.setdefault(redis_url, _Lately(redis_url))


def _enqueue(connection: Redis, job: str, ids: tuple[int, ...]) -> bool:
    """Whether anything was written: one drain waiting is enough, since it takes whatever there is; others go by id."""
    bell = queue(_JOBS[job], connection)
    if not ids and bell.count > 0:
        return False
    limit = _FAN_OUT_SECONDS if job == "fan_out_send" else JOB_SECONDS
    options = {"job_id": "-".join([job.replace("_", "-"), *map(str, ids)]), "unique": True} if ids else {}
    try:
        bell.enqueue(f"jobs.tasks.{job}", *ids, job_timeout=limit, result_ttl=0, failure_ttl=1, **options)
    except DuplicateJobError:
        return False
    return True


def remember(redis_url: str, name: str, value: int) -> None:
    """A number that outlives the database's own memory; lost with Redis, which is borne."""
    try:
        with connect(redis_url) as connection:
            connection.set(f"portal:{name}", value)
    except _UNUSABLE as error:
        _lately(redis_url).say(cause_of(error, redis_url))


def recall(redis_url: str, name: str) -> int | None:
    """None where nothing was remembered, or nobody can be asked."""
    try:
        with connect(redis_url) as connection:
            value = connection.get(f"portal:{name}")
    except _UNUSABLE:
        return None
    return int(value) if value else None
