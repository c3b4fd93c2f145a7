"""What `portal up` loads before it forks holds nothing that two processes must not share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import servers

LOAD = """
import json, os, sys, threading
from portal.cli import preload

before = len(os.listdir("/proc/self/fd"))
for command in (["web"], ["worker", "sms"], ["simulator"]):
    preload.prepare(dict(os.environ), *command)
from jobs.app import app
from portal.core.extensions import db
with app().app_context():
    connections = db.engine.pool.checkedin() + db.engine.pool.checkedout()
opened = len(os.listdir("/proc/self/fd")) - before
print(json.dumps({"threads": threading.active_count(), "opened": opened, "connections": connections}))
"""


@pytest.mark.parametrize("database_url", ["", "postgresql://portal@127.0.0.1:1/portal"])
def test_no_connection_file_or_thread_is_open_before_the_fork(tmp_path: Path, database_url: str) -> None:
    database = {"PORTAL_DATABASE_URL": database_url, "PORTAL_SECRET_KEY": "x", "PORTAL_ENCRYPTION_KEY": "A" * 43 + "="}
    environment = {**os.environ, "PYTHONPATH": str(servers.ROOT), "PORTAL_INSTANCE": str(tmp_path), **database}
    command = [sys.executable, "-c", LOAD]
    output = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == {"threads": 1, "opened": 0, "connections": 0}
