"""Recurring work, run without the queue. Of several schedulers one holds the lease (docs/reliability.md#scheduler)."""

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
from portal.delivery import maintenance

_log = structlog.get_logger(__name__)


class _TwilioPoller:
    """Asks Twilio in a thread of its own, one round at a time: a Twilio that is slow holds up nothing but answers."""

    def __init__(self) -> None:
        self._thread: Thread | None = None

    def start(self) -> None:
        """Another round, unless one is under way. It dies with the process: what was asked for is asked again."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=_poll_twilio, daemon=True, name="twilio-poller")
            self._thread.start()


def _poll_twilio() -> None:
    with app().app_context():
        maintenance.poll_twilio()


def run_scheduler() -> int:
    """Sweep at the interval until told to stop."""
    shutdown.install_signal_handlers()
    name, asker = f"scheduler:{socket.gethostname()}:{os.getpid()}", _TwilioPoller()
    with app().app_context():
        interval = settings().maintenance_interval_seconds
    while not shutdown.is_shutdown_requested():
        _run_once(name, interval, asker)
        shutdown.wait_for_shutdown(interval)
    _release_leadership(name)
    return 0


def _run_once(name: str, interval: float, asker: _TwilioPoller) -> None:
    """One turn; a database that does not answer is waited for, loudly."""
    with app().app_context():
        try:
            maintenance.record_heartbeat(name, "scheduler", now_ms())
            if maintenance.acquire_leadership(
                name, seconds=interval * 4 + 60, at_ms=now_ms(), is_holder_gone=_is_holder_gone
            ):
                maintenance.run_local_maintenance()
                asker.start()
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
    """Of a scheduler on this host, whether its process is there no more; nobody can tell of another host's."""
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
