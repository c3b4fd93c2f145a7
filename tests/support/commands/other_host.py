"""A process started with HOST=JSON believes to run on that host, and with MOUNTS=FILE to see the mounts in the file."""

import json
import os
from pathlib import Path

from portal.processes import sqlite_host_lock


def pretend() -> None:
    if "HOST" in os.environ:
        host = sqlite_host_lock.Host(**json.loads(os.environ["HOST"]))
        sqlite_host_lock.current_host = lambda: host
    if "MOUNTS" in os.environ:
        sqlite_host_lock._MOUNTS_FILE = Path(os.environ["MOUNTS"])
