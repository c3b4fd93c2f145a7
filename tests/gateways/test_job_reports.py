"""What pages are told about jobs. Runs jobs of the real worker against a real server."""

import threading
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.exceptions import RedisError
from rq.job import Job
from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import OperationalError

from portal.core.errors import ActionRefused
from portal.gateways import job_reports, queue
from portal.gateways.job_reports import JobReport
from tests.support.job_runner import WORKER, failing, replace_tasks, run_jobs
from tests.support.servers import flush_valkey

CANARY = "+12025550101"
FAN_OUT = queue.job_id("fan_out_send", 7)


@pytest.fixture
def connection(redis_url: str) -> Iterator[Redis]:
    redis = Redis.from_url(redis_url)
    flush_valkey(redis_url)
    yield redis
    flush_valkey(redis_url)


@pytest.fixture
def run(redis_url: str, connection: Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run_with(task: Callable[..., None] = lambda *_: None, queue_name: str = "work") -> None:
        """Run everything that waits in the queue, with `task` as each job."""
        replace_tasks(monkeypatch, task)
        run_jobs(redis_url, queue_name)

    return run_with


def the_job(redis_url: str, job_id: str = FAN_OUT) -> JobReport:
    (job,) = job_reports.find_jobs(redis_url, job_id).jobs
    return job


def test_waiting_job_has_its_position(redis_url: str, connection: Redis) -> None:
    queue.enqueue(redis_url, "fan_out_send", 3)
    queue.enqueue(redis_url, "fan_out_send", 7)
    job = the_job(redis_url)
    assert (job.state, job.queue, job.position, job.label) == ("queued", "work", 2, "Prepare send 7")
    assert job.enqueued_at_ms
    assert not job.is_over


def test_running_job_has_its_worker_and_progress(redis_url: str, run: Callable[..., None]) -> None:
    seen = []

    def task(_send_id: int) -> None:
        job_reports.report_progress(redis_url, 3_000, 12_000, "recipients")
        seen.append(the_job(redis_url))

    queue.enqueue(redis_url, "fan_out_send", 7)
    run(task)
    assert (seen[0].state, seen[0].worker, seen[0].position) == ("started", WORKER, None)
    assert seen[0].progress == {"done": 3_000, "unit": "recipients", "total": 12_000}
    finished = the_job(redis_url)
    assert (finished.state, finished.is_over) == ("finished", True)
    assert finished.ended_at_ms


def test_ended_job_does_not_block_the_next(redis_url: str, connection: Redis, run: Callable[..., None]) -> None:
    for task in (failing(ValueError(CANARY)), lambda *_: None):
        queue.enqueue(redis_url, "fan_out_send", 7)
        run(task)
    queue.enqueue(redis_url, "fan_out_send", 7)
    queue.enqueue(redis_url, "fan_out_send", 7)
    assert the_job(redis_url).state == "queued"
    assert [job.id for job in job_reports.list_jobs(redis_url, "work").jobs] == [FAN_OUT]
    assert queue.open_queue("work", connection).count == 1


def test_running_job_blocks_the_same_job(redis_url: str, connection: Redis, run: Callable[..., None]) -> None:
    waiting = []

    def task(_send_id: int) -> None:
        queue.enqueue(redis_url, "fan_out_send", 7)
        waiting.append(queue.open_queue("work", connection).count)

    queue.enqueue(redis_url, "fan_out_send", 7)
    run(task)
    assert waiting == [0]


def test_concurrent_enqueues_after_an_end_add_one_job(
    redis_url: str, connection: Redis, run: Callable[..., None]
) -> None:
    for _ in range(20):
        queue.enqueue(redis_url, "fan_out_send", 7)
        run()
        threads = [threading.Thread(target=queue.enqueue, args=(redis_url, "fan_out_send", 7)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert queue.open_queue("work", connection).job_ids == [FAN_OUT]


def test_remains_of_a_job_in_an_emptied_redis_do_not_block(redis_url: str, connection: Redis) -> None:
    connection.hset(Job.key_for(FAN_OUT), "meta", "{}")
    assert job_reports.find_jobs(redis_url, FAN_OUT).jobs == ()
    queue.enqueue(redis_url, "fan_out_send", 7)
    assert the_job(redis_url).state == "queued"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationalError(CANARY, {}, Exception(CANARY)), "The database did not answer"),
        (RedisError(CANARY), "Redis became unavailable"),
        (JobTimeoutException(CANARY), "It took too long"),
        (ValueError(CANARY), "An unexpected error occurred. See the worker’s log"),
    ],
)
def test_failure_is_explained_by_the_class_of_the_error(
    redis_url: str, connection: Redis, run: Callable[..., None], error: Exception, reason: str
) -> None:
    queue.enqueue(redis_url, "fan_out_send", 7)
    run(failing(error))
    job = the_job(redis_url)
    assert (job.state, job.worker) == ("failed", WORKER)
    assert job.failure.startswith(reason)
    assert CANARY not in str(connection.hgetall(Job.key_for(FAN_OUT)))


def test_job_of_a_dead_worker_says_so(redis_url: str, connection: Redis, run: Callable[..., None]) -> None:
    queue.enqueue(redis_url, "fan_out_send", 7)
    seen = []
    run(lambda *_: seen.append(_cleaned_up(redis_url, connection)))
    assert seen == ["The worker stopped unexpectedly during the job."]


def _cleaned_up(redis_url: str, connection: Redis) -> str:
    """What RQ's maintenance makes of the running job once its time is over."""
    queue.open_queue("work", connection).started_job_registry.cleanup(timestamp=10**11)
    return the_job(redis_url).failure


def test_job_that_was_started_again_remembers_the_failure(redis_url: str, run: Callable[..., None]) -> None:
    queue.enqueue(redis_url, "fan_out_send", 7)
    run(failing(ValueError(CANARY)))
    queue.enqueue(redis_url, "fan_out_send", 7)
    job = the_job(redis_url)
    assert (job.state, job.failure) == ("queued", "")
    assert job.earlier_failure.startswith("An unexpected error")


@pytest.mark.parametrize(("name", "ids"), [("fan_out_send", (7,)), ("drain_sms", ())])
def test_failed_job_is_retried_once(
    redis_url: str, connection: Redis, run: Callable[..., None], name: str, ids: tuple[int, ...]
) -> None:
    queue.enqueue(redis_url, name, *ids)
    queue_name = "work" if ids else "sms"
    run(failing(ValueError(CANARY)), queue_name)
    (failed,) = job_reports.list_jobs(redis_url, queue_name).jobs
    job_reports.retry_job(redis_url, failed.id)
    with pytest.raises(ActionRefused, match="cannot be tried again"):
        job_reports.retry_job(redis_url, failed.id)
    (job,) = job_reports.list_jobs(redis_url, queue_name).jobs
    assert (job.state, job.position) == ("queued", 1)
    run(queue_name=queue_name)
    assert job_reports.list_jobs(redis_url, queue_name).is_over


def test_only_jobs_of_the_portal_are_retried(redis_url: str, connection: Redis, run: Callable[..., None]) -> None:
    job = queue.open_queue("work", connection).enqueue_call("os.system", args=[CANARY], failure_ttl=60)
    run()
    assert [report.label for report in job_reports.list_jobs(redis_url, "work").jobs] == ["Unknown job"]
    with pytest.raises(ActionRefused):
        job_reports.retry_job(redis_url, job.id)


def test_unavailable_redis_is_reported() -> None:
    reports = job_reports.find_jobs("redis://127.0.0.1:1/0", FAN_OUT)
    assert reports.jobs == ()
    assert "Nothing is listening" in str(reports.problem)
    with pytest.raises(ActionRefused, match="Nothing is listening"):
        job_reports.retry_job("redis://127.0.0.1:1/0", FAN_OUT)
