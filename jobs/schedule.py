"""Recurring work, run without the queue. Of several schedulers one holds the lease (docs/reliability.md#scheduler)."""

import os
import socket
from threading import Thread

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs import stopping
from jobs.app import app
from portal.actions import sweep
from portal.clock import now_ms
from portal.context import settings
from portal.extensions import db

_log = structlog.get_logger(__name__)


class _Asker:
    """Asks Twilio in a thread of its own, one round at a time: a Twilio that is slow holds up nothing but answers."""

    def __init__(self) -> None:
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Another round, unless one is under way. It dies with the process: what was asked for is asked again."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=_ask, daemon=True, name="asker")
            self._thread.start()


def _ask() -> None:
    with app().app_context():
        sweep.ask_twilio()


def run_scheduler() -> int:
    """Sweep at the interval until told to stop."""
    stopping.heed_signals()
    name, asker = f"scheduler:{socket.gethostname()}:{os.getpid()}", _Asker()
    with app().app_context():
        interval = settings().maintenance_interval_seconds
    while not stopping.asked():
        _turn(name, interval, asker)
        stopping.wait(interval)
    _step_down(name)
    return 0


def _turn(name: str, interval: float, asker: _Asker) -> None:
    """One turn; a database that does not answer is waited for, loudly."""
    with app().app_context():
        try:
            sweep.beat(name, "scheduler", now_ms())
            if sweep.lead(name, seconds=interval * 4 + 60, at_ms=now_ms(), has_ended=_has_ended):
                sweep.tidy_up()
                asker.begin()
        except Exception:
            _log.exception("a turn of the scheduler failed; the next one tries again")
        finally:
            db.session.remove()


def _step_down(name: str) -> None:
    with app().app_context():
        try:
            sweep.step_down(name)
        except SQLAlchemyError:
            _log.warning("the lease could not be given back; it ends by itself")
        finally:
            db.session.remove()


def _has_ended(holder: str) -> bool:
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
