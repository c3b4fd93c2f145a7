"""What gunicorn reads: each web process gives the sign of life of this host, and ends the server when it lost it."""

import os
import signal

from portal.core.config import load_settings
from portal.processes import sqlite_host_lock


def post_worker_init(_worker: object) -> None:
    """In the web process: a thread of the parent would not outlive the fork."""
    sqlite_host_lock.hold_host_lock(load_settings().database_url, lambda: os.kill(os.getppid(), signal.SIGTERM))
