"""Runs waiting jobs with the worker of the product."""

import signal
from collections.abc import Callable

import pytest
from redis import Redis
from rq.serializers import JSONSerializer

from jobs import tasks
from jobs.worker import AllowlistedJob, PortalWorker
from portal.gateways import queue

WORKER = "work-host-1"


def run_jobs(redis_url: str, queue_name: str = "work") -> None:
    """Run everything that waits in the queue."""
    with Redis.from_url(redis_url) as connection:
        worker = PortalWorker(
            [queue.open_queue(queue_name, connection)],
            connection=connection,
            name=WORKER,
            serializer=JSONSerializer,
            job_class=AllowlistedJob,
            log_job_description=False,
        )
        handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
        try:
            worker.work(burst=True, logging_level="WARNING")
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)


def replace_tasks(monkeypatch: pytest.MonkeyPatch, task: Callable[..., None]) -> None:
    """Let every job do `task` instead of its own work."""
    for name in queue.JOB_NAMES:
        monkeypatch.setattr(tasks, name.rpartition(".")[2], task)


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail
