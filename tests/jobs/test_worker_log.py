"""What a worker says of a job that failed: its kind and place, never its words or its arguments."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs import tasks
from jobs.worker import AllowlistedJob, PortalWorker
from portal.core import logging_setup
from portal.gateways import queue

CANARY = "canary-0451 +12025550101"


@contextmanager
def json_log() -> Iterator[None]:
    handlers, hook = logging.getLogger().handlers, sys.excepthook
    logging_setup.configure("json")
    yield
    logging.getLogger().handlers, sys.excepthook = handlers, hook


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    found = Redis.from_url(redis_url)
    found.flushdb()
    yield found
    found.flushdb()


def run_job(connection: Redis, job_name: str) -> Job:
    waiting = queue.open_queue("work", connection)
    job = waiting.enqueue_call(job_name, args=[CANARY], failure_ttl=60)
    options = {"serializer": JSONSerializer, "job_class": AllowlistedJob, "log_job_description": False}
    PortalWorker([waiting], connection=connection, **options).work(burst=True, logging_level="WARNING")
    return job


def fails(*_: object) -> None:
    raise ValueError(CANARY)


def test_a_failed_job_is_told_by_its_kind_and_place(
    connection: Redis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = sorted(queue.JOB_NAMES)[0]
    monkeypatch.setattr(tasks, name.rpartition(".")[2], fails)
    with json_log():
        job = run_job(connection, name)
    written = capsys.readouterr().err
    told = next(json.loads(line) for line in written.splitlines() if "a job failed" in line)
    assert (told["error"], told["job"], told["queue"]) == ("ValueError", job.id, "work")
    assert any("fails" in frame for frame in told["frames"])
    assert "canary" not in written
    assert "canary" not in str(job.latest_result().exc_string)


def test_a_job_that_is_not_ours_is_told_without_its_arguments(
    connection: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    with json_log():
        run_job(connection, "os.system")
    written = capsys.readouterr().err
    assert "PermissionError" in written
    assert "canary" not in written
    assert "Traceback" not in written


def test_what_ends_a_process_is_told_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    with json_log():
        try:
            fails()
        except ValueError as error:
            sys.excepthook(ValueError, error, error.__traceback__)
    written = capsys.readouterr().err
    assert json.loads(written)["error"] == "ValueError"
    assert "canary" not in written
