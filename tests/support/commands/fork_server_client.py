"""Start `portal` processes with the fork server (fork_server.py)."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support import servers


class ForkServerClient:
    """Thread-safe client of a fork server of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.commands.fork_server"],
            cwd=servers.ROOT,
            env={**os.environ, "PYTHONPATH": str(servers.ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._exit_codes: dict[int, int] = {}
        self._lock = threading.Lock()

    def start(self, arguments: Sequence[str], environment: dict[str, str], output: Path) -> int:
        """The id of a process that appends stdout and stderr to `output`."""
        return self._start(arguments, environment, [os.devnull, str(output), str(output)], wait=False)

    @contextlib.contextmanager
    def running(self, arguments: Sequence[str], environment: dict[str, str], output: Path) -> Iterator[int]:
        """As `start`; the process and its children are killed at the end."""
        pid = self.start(arguments, environment, output)
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def run(self, arguments: Sequence[str], environment: dict[str, str], files: Sequence[str]) -> int:
        """The exit code; `files` are stdin, stdout and stderr."""
        return self._exit_codes[self._start(arguments, environment, files, wait=True)]

    def poll(self) -> None:
        """Collect the exit codes of processes that have ended."""
        self._request({})

    def exit_code(self, pid: int) -> int | None:
        """The exit code as of the last poll; None while the process runs, negative if a signal ended it."""
        return self._exit_codes.get(pid)

    def wait(self, pid: int, seconds: float = 60) -> int:
        """The exit code of a process that ends."""

        def has_ended() -> bool:
            self.poll()
            return pid in self._exit_codes

        servers.wait_for(has_ended, "the process to end", seconds)
        return self._exit_codes[pid]

    def _start(self, arguments: Sequence[str], environment: dict[str, str], files: Sequence[str], wait: bool) -> int:
        request = {"arguments": arguments, "environment": environment, "files": files, "wait": wait}
        pid = self._request(request)
        assert pid is not None
        return pid

    def _request(self, request: dict[str, Any]) -> int | None:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            response = json.loads(self._process.stdout.readline())
            self._exit_codes.update({int(pid): code for pid, code in response["exits"].items()})
        pid: int | None = response["pid"]
        return pid

    def close(self) -> None:
        """Kill the fork server, and with it every process it started."""
        self._process.kill()
        self._process.wait(10)
