"""The doorbell: background work is started by name, after the commit, with ids as arguments.

A ring may be lost: the scheduler finds what was left behind. So a queue that does not answer never fails the caller.
"""

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer

QUEUES = ("sms", "email", "work")
JOB_SECONDS = 900
"""A job's time limit, a backstop only: jobs hand over long before, and must not be cut off inside a call."""

_FAN_OUT_SECONDS = 60
"""RQ keeps the id of a job whose worker died for as long as it may run and a minute; until then nobody else takes it up
by that id. A fan-out hands over after 20 seconds."""

_JOBS = {
    "drain_sms": "sms",
    "drain_email": "email",
    "expand_send": "work",
    "order_inbound": "work",
    "steer_send": "work",
}
"""What may be rung for, and on which queue. Workers refuse any other function."""

JOB_NAMES = frozenset(f"jobs.tasks.{name}" for name in _JOBS)
_log = structlog.get_logger(__name__)


def connect(redis_url: str) -> Redis:
    """Without the client's own retries: they would hold a page up for seconds while the server is away."""
    return Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=10, retry=Retry(NoBackoff(), 0))


def queue(name: str, connection: Redis) -> Queue:
    return Queue(name, connection=connection, serializer=JSONSerializer)


def ring(redis_url: str, job: str, *ids: int) -> bool:
    """Start a job unless the same one is waiting already. False when the queue did not answer."""
    try:
        with connect(redis_url) as connection:
            _enqueue(connection, job, ids)
    except RedisError as error:
        _log.warning("the queue did not answer; the scheduler will ring again", job=job, error=type(error).__name__)
        return False
    return True


def ping(redis_url: str) -> bool:
    try:
        with connect(redis_url) as connection:
            return bool(connection.ping())
    except RedisError:
        return False


def _enqueue(connection: Redis, job: str, ids: tuple[int, ...]) -> None:
    """A drain takes whatever there is, so one in the queue is enough beside those that run; others go by id."""
    bell = queue(_JOBS[job], connection)
    if not ids and bell.count > 0:
        return
    limit = _FAN_OUT_SECONDS if job == "expand_send" else JOB_SECONDS
    options = {"job_id": "-".join([job.replace("_", "-"), *map(str, ids)]), "unique": True} if ids else {}
    try:
        bell.enqueue(f"jobs.tasks.{job}", *ids, job_timeout=limit, result_ttl=0, failure_ttl=1, **options)
    except DuplicateJobError:
        return


def remember(redis_url: str, name: str, value: int) -> None:
    """A number that outlives the database's own memory; lost with Redis, which is borne."""
    try:
        with connect(redis_url) as connection:
            connection.set(f"portal:{name}", value)
    except RedisError as error:
        _log.warning("the queue did not answer; nothing was noted there", error=type(error).__name__)


def recall(redis_url: str, name: str) -> int | None:
    """None where nothing was remembered, or nobody can be asked."""
    try:
        with connect(redis_url) as connection:
            value = connection.get(f"portal:{name}")
    except RedisError:
        return None
    return int(value) if value else None
