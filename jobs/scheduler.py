"""Recurring work, run without the queue by the scheduler that holds the lease (docs/reliability.md#scheduler)."""

import math
import os
import socket
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs import shutdown
from jobs.app import app
from portal.accounts.sign_in_records import record_failed_sign_ins
from portal.carriers.consent_reporting import report_consent
from portal.carriers.deactivation_reading import read_deactivations
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.log_integrity.earlier_rows import protect_earlier_rows
from portal.core.rules.process_kinds import SCHEDULER
from portal.delivery import maintenance
from portal.monitoring.alert_checks import check_alerts
from portal.monitoring.alert_notices import send_due_notices
from portal.monitoring.hourly_checks import check_hourly
from portal.monitoring.statistics import renew_statistics
from portal.operations.logs.log_heads import check_logs_daily
from portal.processes import is_process_running
from portal.records import search_indexing
from portal.records.record_maintenance import run_record_maintenance

_POLLER_NAME, _MONITOR_NAME = "twilio-poller", "monitor"
_REPORTER_NAME, _READER_NAME = "consent-reporter", "deactivation-reader"
_MONITORING_SECONDS = 60.0
_next_monitoring = 0.0
"""By the monotonic clock."""
_LOOK_SECONDS = 1.0
"""How often to look for sends that are about to begin, so that a short time to undo them is kept too."""
_log = structlog.get_logger(__name__)


def run_scheduler() -> int:
    """Run maintenance at the configured interval until shutdown."""
    shutdown.install_signal_handlers()
    name = f"{SCHEDULER}:{socket.gethostname()}:{os.getpid()}"
    with app().app_context():
        interval = settings().maintenance_interval_seconds
    while not shutdown.is_shutdown_requested():
        _run_once(name, interval)
        _wait_for_next_round(interval)
    _release_leadership(name)
    return 0


def _run_once(name: str, interval: float) -> None:
    """One round of maintenance; after an error the next round tries again."""
    with app().app_context():
        try:
            maintenance.record_heartbeat(name, SCHEDULER, now_ms())
            lease_seconds = interval * 4 + 60
            if maintenance.acquire_leadership(name, lease_seconds, now_ms(), _is_holder_gone):
                maintenance.run_local_maintenance()
                run_record_maintenance()
                _start_thread(_POLLER_NAME, _poll_twilio)
                _start_thread(_REPORTER_NAME, _report_consent)
                _start_thread(_READER_NAME, _read_deactivations)
                _start_monitoring()
                search_indexing.index_new(now_ms)
        except Exception:
            _log.exception("scheduler run failed; will retry")
        finally:
            db.session.remove()


def _wait_for_next_round(interval: float) -> None:
    """Also enqueue each send at the moment at which it can no longer be undone."""
    ends_at = time.monotonic() + interval
    while not shutdown.is_shutdown_requested() and (remaining := ends_at - time.monotonic()) > 0:
        start_seconds = _seconds_to_next_start()
        shutdown.wait_for_shutdown(min(remaining, _LOOK_SECONDS, start_seconds))
        if start_seconds <= min(remaining, _LOOK_SECONDS):
            _enqueue_started_sends()


def _seconds_to_next_start() -> float:
    """Infinite if no send waits, or if the database does not answer: the next round looks again."""
    with app().app_context():
        try:
            milliseconds = maintenance.milliseconds_to_next_start(now_ms())
        except SQLAlchemyError:
            milliseconds = None
        finally:
            db.session.remove()
    return math.inf if milliseconds is None else milliseconds / 1000


def _enqueue_started_sends() -> None:
    with app().app_context():
        try:
            maintenance.enqueue_started_sends(now_ms())
        except SQLAlchemyError:
            _log.warning("could not look for sends that begin; will retry")
        finally:
            db.session.remove()


def _start_thread(name: str, task: Callable[[], None]) -> None:
    """In a thread of its own, a slow Twilio or mail server does not delay maintenance; only one runs at a time."""
    if all(thread.name != name for thread in threading.enumerate()):
        threading.Thread(target=task, daemon=True, name=name).start()


def _poll_twilio() -> None:
    with app().app_context():
        maintenance.poll_twilio()


def _report_consent() -> None:
    _run_step(lambda: report_consent(now_ms, shutdown.wait_for_shutdown, shutdown.is_shutdown_requested))


def _read_deactivations() -> None:
    _run_step(lambda: read_deactivations(now_ms, shutdown.is_shutdown_requested))


def _start_monitoring() -> None:
    global _next_monitoring
    if time.monotonic() >= _next_monitoring:
        _next_monitoring = time.monotonic() + _MONITORING_SECONDS
        _start_thread(_MONITOR_NAME, _monitor)


def _monitor() -> None:
    steps: tuple[Callable[[], None], ...] = (
        lambda: protect_earlier_rows(now_ms),
        lambda: check_logs_daily(now_ms),
        lambda: record_failed_sign_ins(now_ms()),
        lambda: check_hourly(now_ms),
        lambda: check_alerts(now_ms()),
        lambda: send_due_notices(now_ms),
        lambda: renew_statistics(now_ms()),
    )
    for step in steps:
        _run_step(step)


def _run_step(step: Callable[[], None]) -> None:
    with app().app_context():
        try:
            step()
        except Exception:
            _log.exception("scheduled step failed; will retry")
        finally:
            db.session.remove()


def _release_leadership(name: str) -> None:
    with app().app_context():
        try:
            maintenance.release_leadership(name)
        except SQLAlchemyError:
            _log.warning("could not release the scheduler lease; it will expire")
        finally:
            db.session.remove()


def _is_holder_gone(holder: str) -> bool:
    """Whether a scheduler on this host has ended; False for schedulers on other hosts."""
    _kind, host, pid = holder.rsplit(":", 2)
    return host == socket.gethostname() and not is_process_running(int(pid))
