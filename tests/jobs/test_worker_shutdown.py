"""A worker that is told to stop ends, whenever the signal comes."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import servers

_STOPPED_TOO_EARLY_AND_AGAIN = """
import os, signal, sys
from jobs import worker

def when_it_begins_and_leaves(self):
    os.kill(os.getpid(), signal.SIGTERM)

worker.PortalWorker.register_death = when_it_begins_and_leaves
sys.exit(worker.main("sms"))
"""


def test_a_signal_before_rq_heeds_it_and_one_more_while_it_leaves_stop_the_worker(
    sqlite_template_file: Path, redis_url: str, tmp_path: Path
) -> None:
    shutil.copy(sqlite_template_file, tmp_path / "portal.sqlite")
    environment = {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_DATABASE_URL": f"sqlite:///{tmp_path / 'portal.sqlite'}",
        "PORTAL_REDIS_URL": redis_url,
        "PORTAL_SECRET_KEY": "secret for tests only",
        "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
        "PORTAL_PUBLIC_URL": "http://127.0.0.1:9",
    }
    with servers.running_process([sys.executable, "-c", _STOPPED_TOO_EARLY_AND_AGAIN], environment) as process:
        try:
            assert process.wait(60) == 0
        except subprocess.TimeoutExpired as late:
            raise AssertionError("it listens on") from late
