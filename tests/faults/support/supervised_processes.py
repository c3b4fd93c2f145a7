"""Processes that are kept running as a supervisor would keep them, and are killed in every way a test can think of."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import servers

_POLL_SECONDS = 0.1


class ForkServerClient:
    """The process that forks (fork_server.py), asked from any thread."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.support.fork_server"],
            cwd=servers.ROOT,
            env={**os.environ, "PYTHONPATH": str(servers.ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._exits: dict[int, int] = {}
        self._lock = threading.Lock()

    def start(self, words: list[str], environment: dict[str, str], output: Path) -> int:
        pid = self._order({"words": words, "environment": environment, "output": str(output)})
        assert pid is not None
        return pid

    def poll(self) -> None:
        """Learn who has ended."""
        self._order({})

    def exit_code(self, pid: int) -> int | None:
        """As of the last look: None while it runs; negative for a signal."""
        return self._exits.get(pid)

    def _order(self, order: dict[str, Any]) -> int | None:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            self._exits.update({int(pid): code for pid, code in answer["exits"].items()})
        return answer["pid"]

    def close(self) -> None:
        """Whatever it started dies with it."""
        self._process.kill()
        self._process.wait(10)


@dataclass
class SupervisedProcess:
    """One that should run: when it ends it is started again, until it is dismissed."""

    name: str
    words: list[str]
    environment: dict[str, str]
    output: Path
    pid: int = 0
    should_run: bool = True
    exit_codes: list[int] = field(default_factory=list)


class RestartingSupervisor:
    """Starts again what ended, after a moment, whatever its exit code: `Restart=always`."""

    def __init__(
        self, forker: ForkServerClient, on_return: Callable[[SupervisedProcess], None] = lambda _process: None
    ) -> None:
        self._forker = forker
        self._on_return = on_return
        self._processes: list[SupervisedProcess] = []
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="keeper")
        self._thread.start()

    def start(self, name: str, words: list[str], environment: dict[str, str], output: Path) -> SupervisedProcess:
        process = SupervisedProcess(name, words, environment, output)
        with self._lock:
            process.pid = self._forker.start(words, environment, output)
            self._processes.append(process)
        return process

    def with_name(self, name: str) -> list[SupervisedProcess]:
        with self._lock:
            return [process for process in self._processes if process.should_run and process.name == name]

    def all_running(self) -> list[SupervisedProcess]:
        with self._lock:
            return [process for process in self._processes if process.should_run]

    def signal_group(self, process: SupervisedProcess, signum: int = signal.SIGKILL) -> None:
        """The whole group, as systemd does: gunicorn's children too. It is started again."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)

    def resume_all(self) -> None:
        """Whatever a test that failed has left frozen."""
        for process in self.all_running():
            self.signal_group(process, signal.SIGCONT)

    def stop_for_good(
        self, *processes: SupervisedProcess, signum: int = signal.SIGTERM, seconds: float = 60.0
    ) -> list[int]:
        """Stop for good; the exit codes. What does not stop in time is killed, and the test fails."""
        for process in processes:
            process.should_run = False
            self.signal_group(process, signum)
        try:
            return [self._wait_for_exit(process, seconds) for process in processes]
        finally:
            for process in processes:
                self.signal_group(process)

    def _wait_for_exit(self, process: SupervisedProcess, seconds: float) -> int:
        servers.wait_for(lambda: self.exit_code_of(process.pid) is not None, f"{process.name} to stop", seconds)
        code = self.exit_code_of(process.pid)
        assert code is not None
        return code

    def exit_code_of(self, pid: int) -> int | None:
        self._forker.poll()
        return self._forker.exit_code(pid)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(10)
        for process in self.all_running():
            self.signal_group(process)

    def _watch(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            self._forker.poll()
            with self._lock:
                for process in [each for each in self._processes if each.should_run]:
                    code = self._forker.exit_code(process.pid)
                    if code is not None:
                        process.exit_codes.append(code)
                        process.pid = self._forker.start(process.words, process.environment, process.output)
                        self._on_return(process)
