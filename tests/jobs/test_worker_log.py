"""A worker logs the type and location of a job error, never its message or the arguments."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs import tasks
from jobs.worker import AllowlistedJob, PortalWorker
from portal.core import logging_setup
from portal.gateways import queue
from tests.support.servers import flush_valkey

CANARY = "canary-0451 +12025550101"


@contextmanager
def json_log() -> Iterator[None]:
    """For one test: later ones must not write to the stream that ends with it."""
    handlers, hook, config = logging.getLogger().handlers, sys.excepthook, structlog.get_config()
    logging_setup.configure("json")
    yield
    logging.getLogger().handlers, sys.excepthook = handlers, hook
    structlog.configure(**config)


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    redis = Redis.from_url(redis_url)
    flush_valkey(redis_url)
    yield redis
    flush_valkey(redis_url)


def run_job(connection: Redis, job_name: str) -> Job:
    work_queue = queue.open_queue("work", connection)
    job = work_queue.enqueue_call(job_name, args=[CANARY], failure_ttl=60)
    options = {"serializer": JSONSerializer, "job_class": AllowlistedJob, "log_job_description": False}
    PortalWorker([work_queue], connection=connection, **options).work(burst=True, logging_level="WARNING")
    return job


def fails(*_: object) -> None:
    raise ValueError(CANARY)


def test_failed_job_is_logged_by_type_and_location(
    connection: Redis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sorted(queue.JOB_NAMES)[0]
    monkeypatch.setattr(tasks, name.rpartition(".")[2], fails)
    with json_log():
        job = run_job(connection, name)
    written = capsys.readouterr().err
    event = next(json.loads(line) for line in written.splitlines() if "job failed" in line)
    assert (event["error"], event["job"], event["queue"]) == ("ValueError", job.id, "work")
    assert any("fails" in frame for frame in event["frames"])
    assert "canary" not in written
    assert "canary" not in str(job.latest_result().exc_string)


def test_foreign_job_is_logged_without_its_arguments(connection: Redis, capsys: pytest.CaptureFixture[str]) -> None:
    with json_log():
        run_job(connection, "os.system")
    written = capsys.readouterr().err
    assert "PermissionError" in written
    assert "canary" not in written
    assert "Traceback" not in written


def test_uncaught_exception_is_logged_without_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    with json_log():
        try:
            fails()
        except ValueError as error:
            sys.excepthook(ValueError, error, error.__traceback__)
    written = capsys.readouterr().err
    assert json.loads(written)["error"] == "ValueError"
    assert "canary" not in written
