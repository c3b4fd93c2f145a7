"""Real processes, waited for by condition; whatever a test leaves running is killed by its session."""

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


class ProcessSandbox:
    """A supervisor script in a process of its own, with a folder in which its children leave their process ids."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *command: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SANDBOX": str(self.folder), **(env or {})}
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

    def run_python(self, source: str, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        script = self.folder / f"script_{len(self._started)}.py"
        script.write_text(source)
        return self.start(sys.executable, str(script), *words, env=env)

    def output(self, index: int = 0) -> str:
        return (self.folder / f"out-{index}").read_text()

    def pids(self, name: str) -> list[int]:
        """Every process id that wrote itself down under this name, oldest first."""
        noted = self.folder / f"{name}.pids"
        return [int(line) for line in noted.read_text().split()] if noted.exists() else []

    def all_pids(self) -> list[int]:
        return [pid for noted in self.folder.glob("*.pids") for pid in self.pids(noted.stem)]

    def clean_up(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        orphan_reaper.kill_members(set(self.all_pids()))


@pytest.fixture
def process_sandbox(tmp_path: Path) -> Iterator[ProcessSandbox]:
    scene = ProcessSandbox(tmp_path)
    yield scene
    scene.clean_up()


@pytest.fixture
def eventually() -> Callable[..., None]:
    def eventually(condition: Callable[[], object], what: str, timeout_seconds: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_seconds:g} s: {what}"
            time.sleep(0.02)

    return eventually


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    def alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        status = Path(f"/proc/{pid}/stat")
        try:  # a zombie that init has not collected yet is as good as gone
            return not status.exists() or status.read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    return alive


@pytest.fixture
def find_free_ports() -> Callable[[int], list[int]]:
    def free(count: int) -> list[int]:
        sockets = [socket.socket() for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        numbers = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        return numbers

    return free
