"""An RQ worker for one queue, in one process, that runs nothing but our own tasks.

One queue a worker: with several, RQ can lose a job for ever (RELIABILITY.md 1.4). No fork for each job: a job drains
for seconds, so isolation is worth less than the time and memory a fork costs, and the database's leases cover a crash.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from threading import Event, Thread
from types import FrameType
from typing import Any

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from jobs import stopping
from jobs.app import app
from portal.actions import sweep
from portal.clock import now_ms
from portal.config import Settings
from portal.context import settings
from portal.extensions import db
from portal.gateways import queue

_BEAT_SECONDS = 10.0
_log = structlog.get_logger(__name__)


class OurJob(Job):  # type: ignore[misc]
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
    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """The first signal lets the job hand over and end; the drain looks at `stopping` several times a second."""
        stopping.ask()
        super().request_stop(signum, frame)


def run_worker(name: str) -> int:
    """Work on one queue until told to stop. The exit code is 0 after a stop that was asked for."""
    with app().app_context():
        found = settings()
    beating = _start_beating(name)
    _wait_for_redis(found)
    worker = PortalWorker(
        [queue.queue(name, queue.connect(found.redis_url))],
        connection=_blocking_connection(found.redis_url),
        name=f"{name}-{socket.gethostname()}-{os.getpid()}",
        serializer=JSONSerializer,
        job_class=OurJob,
        worker_ttl=60,
        maintenance_interval=60,
        log_job_description=False,
    )
    try:
        worker.work(logging_level="WARNING")
    finally:
        beating.set()
    return 0 if stopping.asked() else 1


def _blocking_connection(redis_url: str) -> Redis:
    """RQ waits for jobs with a blocking read that must outlast its own time-out."""
    return Redis.from_url(redis_url, socket_connect_timeout=5)


def _wait_for_redis(found: Settings) -> None:
    """A worker without Redis waits, and says so once; the scheduler sends meanwhile."""
    said = False
    while not stopping.asked() and not queue.ping(found.redis_url):
        if not said:
            _log.warning("no answer from Redis; waiting for it")
            said = True
        time.sleep(1)


def _start_beating(name: str) -> Event:
    """Signs of life from a thread of its own, so that a long job does not look like a dead worker."""
    ended = Event()
    Thread(target=_beat, args=(name, ended), daemon=True, name="heartbeat").start()
    return ended


def _beat(name: str, ended: Event) -> None:
    while True:
        with app().app_context():
            try:
                sweep.beat(f"worker:{name}:{socket.gethostname()}:{os.getpid()}", f"worker:{name}", now_ms())
            except SQLAlchemyError:
                _log.warning("a sign of life could not be written; the next one follows")
            finally:
                db.session.remove()
        if ended.wait(_BEAT_SECONDS):
            return


def main(name: str) -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return run_worker(name)
    except RedisError as error:
        print(f"The worker lost Redis ({type(error).__name__}); it is started again.", file=sys.stderr)
        return 1
