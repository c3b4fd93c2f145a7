"""A supervisor that restarts portal processes, so that tests can kill, freeze and stop them."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import servers
from tests.support.commands.fork_server_client import ForkServerClient

_POLL_SECONDS = 0.1


@dataclass
class SupervisedProcess:
    """A process that the supervisor restarts whenever it ends, while `should_run` is true."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    output: Path
    pid: int = 0
    should_run: bool = True
    exit_codes: list[int] = field(default_factory=list)


class RestartingSupervisor:
    """Restarts processes that end, whatever their exit code, like systemd's `Restart=always`."""

    def __init__(
        self, forker: ForkServerClient, on_restart: Callable[[SupervisedProcess], None] = lambda _process: None
    ) -> None:
        self._forker = forker
        self._on_restart = on_restart
        self._processes: list[SupervisedProcess] = []
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="supervisor")
        self._thread.start()

    def start(self, name: str, arguments: list[str], environment: dict[str, str], output: Path) -> SupervisedProcess:
        process = SupervisedProcess(name, arguments, environment, output)
        with self._lock:
            process.pid = self._forker.start(arguments, environment, output)
            self._processes.append(process)
        return process

    def with_name(self, name: str) -> list[SupervisedProcess]:
        with self._lock:
            return [process for process in self._processes if process.should_run and process.name == name]

    def all_running(self) -> list[SupervisedProcess]:
        with self._lock:
            return [process for process in self._processes if process.should_run]

    def signal_group(self, process: SupervisedProcess, signum: int = signal.SIGKILL) -> None:
        """Signal the whole process group, as systemd does, including gunicorn's workers. It is then restarted."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)

    def resume_all(self) -> None:
        """Resume processes that a failed test left suspended."""
        for process in self.all_running():
            self.signal_group(process, signal.SIGCONT)

    def stop_for_good(
        self, *processes: SupervisedProcess, signum: int = signal.SIGTERM, seconds: float = 60.0
    ) -> list[int]:
        """Stop processes without restart; return their exit codes. If one does not stop in time, kill it and fail."""
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
        self._stopped.set()
        self._thread.join(10)
        for process in self.all_running():
            self.signal_group(process)

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            self._forker.poll()
            with self._lock:
                for process in [process for process in self._processes if process.should_run]:
                    code = self._forker.exit_code(process.pid)
                    if code is not None:
                        process.exit_codes.append(code)
                        process.pid = self._forker.start(process.arguments, process.environment, process.output)
                        self._on_restart(process)
