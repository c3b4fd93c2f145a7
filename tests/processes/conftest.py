"""Real processes for the tests; whatever a test leaves running is killed by its session."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portal.processes import orphan_reaper

ROOT = Path(__file__).resolve().parent.parent.parent
WaitFor = Callable[..., None]
IsAlive = Callable[[int], bool]
FreePorts = Callable[[int], list[int]]


class ProcessSandbox:
    """Runs scripts in their own processes, with a folder in which their children record their process ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SANDBOX_DIR": str(self.folder), **(env or {})}
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / f"out-{len(self._started)}").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run_python(self, source: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        script = self.folder / f"script_{len(self._started)}.py"
        script.write_text(source)
        return self.start(sys.executable, str(script), *arguments, env=env)

    def output(self, index: int = 0) -> str:
        return (self.folder / f"out-{index}").read_text()

    def pids(self, name: str) -> list[int]:
        """The process ids recorded under this name, oldest first."""
        file = self.folder / f"{name}.pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def all_pids(self) -> list[int]:
        return [pid for file in self.folder.glob("*.pids") for pid in self.pids(file.stem)]

    def clean_up(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        orphan_reaper.kill_members(set(self.all_pids()))


@pytest.fixture
def process_sandbox(tmp_path: Path) -> Iterator[ProcessSandbox]:
    sandbox = ProcessSandbox(tmp_path)
    yield sandbox
    sandbox.clean_up()


@pytest.fixture
def eventually() -> WaitFor:
    def wait_for(condition: Callable[[], object], description: str, timeout_seconds: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_seconds:g} s: {description}"
            time.sleep(0.02)

    return wait_for


@pytest.fixture
def is_alive() -> IsAlive:
    def alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        status = Path(f"/proc/{pid}/stat")
        try:  # a zombie counts as gone
            return not status.exists() or status.read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    return alive


@pytest.fixture
def find_free_ports() -> FreePorts:
    def free(count: int) -> list[int]:
        sockets = [socket.socket() for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        ports = [sock.getsockname()[1] for sock in sockets]
        for sock in sockets:
            sock.close()
        return ports

    return free
