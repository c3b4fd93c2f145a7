"""A worker stops whenever the signal comes."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import servers

_SIGNALLED_AT_STARTUP_AND_EXIT = """
import os, signal, sys
from jobs import worker

def signal_itself(self):
    os.kill(os.getpid(), signal.SIGTERM)

worker.PortalWorker.register_death = signal_itself
sys.exit(worker.run_worker("sms"))
"""


def test_worker_stops_on_signals_before_startup_and_during_exit(
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
    with servers.running_process([sys.executable, "-c", _SIGNALLED_AT_STARTUP_AND_EXIT], environment) as process:
        try:
            assert process.wait(60) == 0
        except subprocess.TimeoutExpired as error:
            raise AssertionError("the worker is still running") from error
