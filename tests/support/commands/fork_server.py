"""Starts portal processes quickly: imports everything once and forks for each process.

Each request is a line of JSON on stdin: `{"arguments", "environment", "files", "wait"}` starts `portal ARGUMENTS` with
the files as stdin, stdout and stderr, and may wait until it ends; `{}` only polls. The response is a line of JSON: the
new process id, and the exit codes of processes that ended since the last request. Each process leads its own session
and is killed when this server ends. Importing takes nearly all of the startup time, which is too long for tests that
start hundreds of processes.
"""

import ctypes
import gc
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import jobs.scheduler
import jobs.tasks
import jobs.worker  # noqa: F401
import portal
import portal.cli
import portal.tables
import portal.web
from portal.cli import (  # noqa: F401
    account_commands,
    config_commands,
    consent_commands,
    db_commands,
    demo_commands,
    doctor_commands,
    key_commands,
    send_commands,
    template_commands,
)
from portal.core.config import load_settings
from portal.processes import buffering_worker  # noqa: F401
from tests.faults.support import next_release, skewed_clock
from tests.support.app_cache import cached_app_setup
from tests.support.commands import other_host, run_portal

ROOT = Path(__file__).parents[3]
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def main() -> None:
    with cached_app_setup():
        _warm_up()
        gc.freeze()
        while line := sys.stdin.readline():
            request = json.loads(line)
            pid = _start(request) if request else None
            exits = _wait_for(pid) if pid and request["wait"] else _reap()
            print(json.dumps({"pid": pid, "exits": exits}), flush=True)


def _warm_up() -> None:
    """Create one app before forking: the first takes ten times as long (mappers, hashers, routes)."""
    with tempfile.TemporaryDirectory(prefix="faults-warm-") as folder:
        database = {"PORTAL_DATABASE_URL": f"sqlite:///{folder}/none.sqlite"}
        keys = {"PORTAL_SECRET_KEY": "x", "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}
        portal.create_app(load_settings({"PORTAL_INSTANCE": folder, **database, **keys}))


def _wait_for(pid: int) -> dict[int, int]:
    _, status = os.waitpid(pid, 0)
    return {pid: os.waitstatus_to_exitcode(status)}


def _reap() -> dict[int, int]:
    exit_codes: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return exit_codes
        if pid == 0:
            return exit_codes
        exit_codes[pid] = os.waitstatus_to_exitcode(status)


def _start(request: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        _run_as_child(request)
    return child


def _run_as_child(request: dict[str, Any]) -> None:
    os.setsid()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.chdir(ROOT)
    for descriptor, path in enumerate(request["files"]):
        flags = os.O_RDONLY | os.O_NOCTTY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(path, flags, 0o600), descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    skewed_clock.apply_clock_offset()
    next_release.use_next_migrations()
    other_host.pretend()
    os._exit(run_portal.run_portal(request["arguments"]))


if __name__ == "__main__":
    main()
