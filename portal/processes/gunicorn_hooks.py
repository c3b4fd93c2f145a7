"""gunicorn's configuration: each web process holds the SQLite host lock, and stops the server if it loses it."""

import os
import signal

from portal.core.config import load_settings
from portal.processes import sqlite_host_lock


def post_worker_init(_worker: object) -> None:
    """Runs in the web process, because threads do not survive the fork."""
    sqlite_host_lock.hold_host_lock(load_settings().database_url, lambda: os.kill(os.getppid(), signal.SIGTERM))
