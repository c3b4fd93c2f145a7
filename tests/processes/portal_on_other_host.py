"""`portal` on another machine, as far as it can tell: `portal_on_other_host.py WORD ...` with HOST (JSON) and MOUNTS (a file)."""

import json
import os
from pathlib import Path

from portal.cli import main
from portal.processes import hosts

if "HOST" in os.environ:
    there = hosts.Host(**json.loads(os.environ["HOST"]))
    hosts.current_host = lambda: there
if "MOUNTS" in os.environ:
    hosts._MOUNTS_FILE = Path(os.environ["MOUNTS"])
main()
