"""What RQ knows of jobs, for pages. The database remains the truth of what has been done."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import get_current_job
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from portal.core.errors import ActionRefused
from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import queue

_MAX_LISTED = 10
_TASK_PREFIX = "jobs.tasks."

_REASONS = {
    "SQLAlchemyError": N_("The database did not answer or refused the work."),
    "RedisError": N_("Redis became unavailable."),
    "JobTimeoutException": N_("It took too long and was stopped."),
    "AbandonedJobError": N_("The worker stopped unexpectedly during the job."),
    "Exception": N_("An unexpected error occurred. See the worker’s log."),
}
"""By class of the error, which may be a base class."""

_LABELS = {
    "drain_sms": N_("Send waiting texts"),
    "drain_email": N_("Send waiting emails"),
    "fan_out_send": N_("Prepare send %(id)s"),
    "apply_send_control": N_("Apply pause or cancellation to send %(id)s"),
    "run_import_task": N_("Run import %(id)s"),
    "check_recipient_file": N_("Check recipient file %(id)s"),
    "export_communications": N_("Write export %(id)s"),
    "delete_expired": N_("Delete what is older than its retention"),
    "write_proof": N_("Write proof of notice %(id)s"),
}


@dataclass(frozen=True)
class JobReport:
    """`position` in the queue counts from 1; only a waiting job has one.

    `failure` says why the job failed, `earlier_failure` why the one before it did, which had the same id. `progress`
    holds what the job reports: `done` of `total` in a `unit`.
    """

    id: str
    label: str
    queue: str
    state: str
    position: int | None
    worker: str
    progress: dict[str, Any]
    failure: str
    earlier_failure: str
    enqueued_at_ms: int | None
    started_at_ms: int | None
    ended_at_ms: int | None

    @property
    def is_over(self) -> bool:
        return self.state not in (JobStatus.QUEUED, JobStatus.STARTED)


@dataclass(frozen=True)
class JobReports:
    """Jobs, or the problem that keeps Redis from telling."""

    jobs: tuple[JobReport, ...] = ()
    problem: ErrorExplanation | None = None

    @property
    def is_over(self) -> bool:
        return all(job.is_over for job in self.jobs)


def find_jobs(redis_url: str, *job_ids: str) -> JobReports:
    """Those of the jobs that Redis still keeps."""
    return _read(redis_url, lambda connection: _reports(connection, job_ids))


def list_jobs(redis_url: str, queue_name: str) -> JobReports:
    """Running jobs first, then waiting, failed and finished ones; at most ten of each."""
    return _read(redis_url, lambda connection: _reports(connection, _job_ids_in(queue_name, connection)))


def retry_job(redis_url: str, job_id: str) -> None:
    """Enqueue a failed job again. Raises `ActionRefused` if there is no such job or Redis is unavailable."""
    try:
        with queue.connect_redis(redis_url) as connection:
            was_added = _retry(connection, job_id)
    except queue.QUEUE_ERRORS as error:
        raise ActionRefused(str(queue.diagnose_error(error, redis_url))) from error
    if not was_added:
        raise ActionRefused(
            _("This job cannot be tried again: it was already started again, or Redis no longer keeps it.")
        )


def report_progress(redis_url: str, done: int, total: int, unit: str) -> None:
    """Called by a job about itself; does nothing outside a job. Without Redis the work continues.

    Not over the worker's connection, which would wait for a frozen Redis forever.
    """
    job = get_current_job()
    if job is not None:
        job.meta["progress"] = {"done": done, "total": total, "unit": unit}
        with suppress(*queue.QUEUE_ERRORS), queue.connect_redis(redis_url) as connection:
            connection.hset(job.key, "meta", JSONSerializer.dumps(job.meta))


def record_failure(job: Job, error: BaseException) -> None:
    """Keep the class of the error with the job, not its message, which may quote phone numbers."""
    names = (kind.__name__ for kind in type(error).__mro__)
    job.meta["failure"] = next((name for name in names if name in _REASONS), "Exception")
    with suppress(RedisError):  # what follows notices that Redis is unavailable
        job.save_meta()


def _read(redis_url: str, read: Callable[[Redis], Iterable[JobReport]]) -> JobReports:
    if problem := queue.cached_problem(redis_url):
        return JobReports(problem=problem)
    try:
        with queue.connect_redis(redis_url) as connection:
            return JobReports(tuple(read(connection)))
    except queue.QUEUE_ERRORS as error:
        return JobReports(problem=queue.diagnose_error(error, redis_url))


def _job_ids_in(queue_name: str, connection: Redis) -> list[str]:
    work = queue.open_queue(queue_name, connection)
    ended = (work.failed_job_registry, work.finished_job_registry)
    return [
        *work.started_job_registry.get_job_ids(0, _MAX_LISTED - 1, cleanup=False),
        *work.get_job_ids(0, _MAX_LISTED),
        *(id for registry in ended for id in registry.get_job_ids(0, _MAX_LISTED - 1, desc=True, cleanup=False)),
    ]


def _reports(connection: Redis, job_ids: Iterable[str]) -> list[JobReport]:
    jobs = (_fetch(connection, id) for id in dict.fromkeys(job_ids))
    return [_report(job) for job in jobs if job is not None]


def _fetch(connection: Redis, job_id: str) -> Job | None:
    """None for what is not a job of ours, such as one in another format."""
    try:
        job = Job.fetch(job_id, connection, JSONSerializer)
        return job if job.func_name else None
    except (NoSuchJobError, DeserializationError):
        return None


def _report(job: Job) -> JobReport:
    state, name = job.get_status(refresh=False), (job.func_name or "").removeprefix(_TASK_PREFIX)
    position = job.get_position() if state == JobStatus.QUEUED else None
    earlier_failure = job.meta.get("earlier_failure")
    return JobReport(
        id=job.id,
        label=_label(name, job.args),
        queue=job.origin,
        state=state.value,
        position=None if position is None else position + 1,
        worker=job.worker_name or "",
        progress=job.meta.get("progress", {}),
        failure=_reason(job.meta.get("failure", "")) if state == JobStatus.FAILED else "",
        earlier_failure="" if earlier_failure is None else _reason(earlier_failure),
        enqueued_at_ms=_milliseconds(job.enqueued_at),
        started_at_ms=_milliseconds(job.started_at),
        ended_at_ms=_milliseconds(job.ended_at),
    )


def _label(name: str, arguments: Sequence[object]) -> str:
    if name not in _LABELS:
        return _("Unknown job")
    return _(_LABELS[name], id=" ".join(map(str, arguments)))


def _reason(failure: str) -> str:
    """RQ itself fails the job of a dead worker, and that leaves no kind of error."""
    return _(_REASONS.get(failure, _REASONS["AbandonedJobError"]))


def _milliseconds(at: datetime | None) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)


def _retry(connection: Redis, job_id: str) -> bool:
    job = _fetch(connection, job_id)
    if job is None or job.get_status(refresh=False) != JobStatus.FAILED or job.func_name not in queue.JOB_NAMES:
        return False
    was_added = queue.enqueue_once(connection, job.func_name.removeprefix(_TASK_PREFIX), *job.args)
    if not job.args:  # the new drain job has another id, and one that waits already does as well
        queue.forget_ended_job(queue.open_queue(job.origin, connection), job_id)
    return was_added or not job.args
