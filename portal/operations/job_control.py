"""Start a failed job again. That is always safe: what has been done is in the database, and a job continues there."""

from portal.core import audit_log
from portal.core.context import settings
from portal.core.transaction import transaction
from portal.gateways import job_reports


def retry_job(job_id: str, actor_id: int, now_ms: int) -> None:
    """Raises `ActionRefused` if the job has not failed or Redis is unavailable."""
    job_reports.retry_job(settings().redis_url, job_id)
    with transaction():
        audit_log.record_audit_entry("job_retried", f"job {job_id}", actor_id, now_ms)
