"""`portal` on another machine, as far as it can tell: `portal_on_other_host.py WORD ...` with HOST (JSON) and MOUNTS (a file)."""

import json
import os
from pathlib import Path

from portal.cli.main import main
from portal.processes import sqlite_host_lock

if "HOST" in os.environ:
    there = sqlite_host_lock.Host(**json.loads(os.environ["HOST"]))
    sqlite_host_lock.current_host = lambda: there
if "MOUNTS" in os.environ:
    sqlite_host_lock._MOUNTS_FILE = Path(os.environ["MOUNTS"])
main()
