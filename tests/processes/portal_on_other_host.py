"""Runs `portal ARGUMENT ...` as if on the host in HOST (JSON), with the mounts in the file MOUNTS."""

import json
import os
from pathlib import Path

from portal.cli.main import main
from portal.processes import sqlite_host_lock

if "HOST" in os.environ:
    host = sqlite_host_lock.Host(**json.loads(os.environ["HOST"]))
    sqlite_host_lock.current_host = lambda: host
if "MOUNTS" in os.environ:
    sqlite_host_lock._MOUNTS_FILE = Path(os.environ["MOUNTS"])
main()
