"""Recurring work, run without the queue by the scheduler that holds the lease (docs/reliability.md#scheduler)."""

import os
import socket
from threading import Thread

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs import shutdown
from jobs.app import app
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.process_kinds import SCHEDULER
from portal.delivery import maintenance

_log = structlog.get_logger(__name__)


class _TwilioPoller:
    """Polls Twilio in its own thread, one round at a time, so that a slow Twilio does not delay maintenance."""

    def __init__(self) -> None:
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start a round unless one is running. It ends with the process; the next round repeats its requests."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=_poll_twilio, daemon=True, name="twilio-poller")
            self._thread.start()


def _poll_twilio() -> None:
    with app().app_context():
        maintenance.poll_twilio()


def run_scheduler() -> int:
    """Run maintenance at the configured interval until shutdown."""
    shutdown.install_signal_handlers()
    name, poller = f"{SCHEDULER}:{socket.gethostname()}:{os.getpid()}", _TwilioPoller()
    with app().app_context():
        interval = settings().maintenance_interval_seconds
    while not shutdown.is_shutdown_requested():
        _run_once(name, interval, poller)
        shutdown.wait_for_shutdown(interval)
    _release_leadership(name)
    return 0


def _run_once(name: str, interval: float, poller: _TwilioPoller) -> None:
    """One round of maintenance; after an error the next round tries again."""
    with app().app_context():
        try:
            maintenance.record_heartbeat(name, SCHEDULER, now_ms())
            if maintenance.acquire_leadership(
                name, seconds=interval * 4 + 60, at_ms=now_ms(), is_holder_gone=_is_holder_gone
            ):
                maintenance.run_local_maintenance()
                poller.start()
        except Exception:
            _log.exception("scheduler run failed; will retry")
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
    """Whether the process of a scheduler on this host has ended; False for schedulers on other hosts."""
    _kind, host, pid = holder.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
