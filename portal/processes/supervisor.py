"""A small supervisor: starts programs, prints their output, restarts them, and leaves no process behind.

It has one thread on purpose: the parent-death signal of Linux (PR_SET_PDEATHSIG) comes when the *thread* that started
the child ends, and only a single-threaded process may run Python between fork and exec.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Self

from portal.processes import forked_child, orphan_reaper
from portal.processes.console import Console, LineReader
from portal.processes.program import Backoff, Program, die_with_parent

_MIN_UPTIME_SECONDS = 10.0  # a program that ends sooner counts as a failed start
_REPORT_EVERY = 5
_FINAL_GRACE_SECONDS = 10.0
_LOOP_SECONDS = 0.2
_SIGNAL_DEBOUNCE_SECONDS = 0.5  # `timeout` and closing terminals signal twice at once


class ShutdownRequested(Exception):
    """A stop was requested while the supervisor was waiting."""


@dataclass
class _Child:
    program: Program
    restarts: bool = True
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float | None = None
    failed_starts: int = 0
    last_line: str = ""
    captured_lines: list[str] | None = None
    """Collects the lines of standard output, instead of printing them."""
    exit_code: int | None = None
    outputs: list[LineReader] = field(default_factory=list)


class Supervisor:
    """A context manager that stops everything on exit."""

    def __init__(
        self,
        environment: Mapping[str, str],
        grace_seconds: float = 45.0,
        *,
        backoff: Backoff | None = None,
        console: Console | None = None,
        inherited_fds: Iterable[int] = (),
    ) -> None:
        """`inherited_fds`: descriptors, such as a lock, that stay open until everything is stopped, even if we die."""
        self.console = console or Console(sys.stdout)
        self._environment = dict(environment)
        self._grace_seconds = grace_seconds
        self._backoff = backoff or Backoff()
        self._inherited_fds = tuple(inherited_fds)
        self._children: list[_Child] = []
        self._sessions: dict[int, Program] = {}
        self._stop_requested_at: float | None = None
        self._force_stop = False
        self._stopping = False
        self._selector = selectors.DefaultSelector()
        self._old_handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._wakeup_reader, self._wakeup_writer = socket.socketpair()
        self._wakeup_reader.setblocking(False)
        self._wakeup_writer.setblocking(False)
        self._selector.register(self._wakeup_reader, selectors.EVENT_READ)
        self._old_wakeup = signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # respect `nohup`
                self._old_handlers[signum] = signal.signal(signum, self._request_stop)
        self._old_handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _ignore_signal)
        self._reaper = self._start_reaper()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        try:
            self.stop()
        finally:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                if self._reaper.stdin:
                    self._reaper.stdin.close()
                self._reaper.wait(_FINAL_GRACE_SECONDS)
            self._restore_signals()
            self._selector.close()
            self._wakeup_reader.close()
            self._wakeup_writer.close()

    def _restore_signals(self) -> None:
        signal.set_wakeup_fd(self._old_wakeup)
        for signum, handler in self._old_handlers.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]  # typeshed lacks a type for old handlers

    def start(self, program: Program) -> None:
        """Start the program, and restart it whenever it ends."""
        child = _Child(program)
        self._children.append(child)
        self._launch(child)

    def run_to_completion(self, program: Program, *, capture_output: bool = False) -> tuple[int, list[str]]:
        """Run once. Returns the exit code and, with `capture_output`, the lines of standard output."""
        child = _Child(program, restarts=False, captured_lines=[] if capture_output else None)
        self._children.append(child)
        self._launch(child)
        self.wait_for(lambda: child.exit_code is not None)
        self._children.remove(child)
        return child.exit_code or 0, child.captured_lines or []

    def wait_for(self, condition: Callable[[], bool], timeout_seconds: float = float("inf")) -> bool:
        """Supervise until the condition is true. Returns False on timeout, raises `ShutdownRequested`."""
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if self._stop_requested_at is not None:
                raise ShutdownRequested
            if time.monotonic() >= deadline:
                return False
            self._run_iteration()
        return True

    def run(self) -> None:
        """Supervise until a stop is requested."""
        with contextlib.suppress(ShutdownRequested):
            self.wait_for(lambda: False)

    def stop(self) -> None:
        """Stop all programs together, then those with `stops_last`; kill what outlives the grace period."""
        self._stopping = True
        if self._stop_requested_at is not None:
            self.console.print_line_raw("Stopping after the work in progress. Press Ctrl-C again to stop now.")
        first = {pid for pid, program in self._sessions.items() if not program.stops_last}
        self._stop_sessions(first, self._grace_seconds)
        self._force_stop = False  # the data server still needs a moment to save
        self._stop_sessions(set(self._sessions), min(self._grace_seconds, _FINAL_GRACE_SECONDS))

    def _run_iteration(self) -> None:
        for key, _ in self._selector.select(_LOOP_SECONDS):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wakeup_reader.recv(4096)
            else:
                self._forward_output(*key.data)
        for child in list(self._children):
            self._check_child(child)
        self._forget_empty_sessions()
        if self._reaper.poll() is not None and not self._stopping:
            self._reaper = self._start_reaper()
        if self.console.closed and self._stop_requested_at is None:
            self._stop_requested_at = time.monotonic()

    def _request_stop(self, _signum: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._stop_requested_at is None:
            self._stop_requested_at = now
        elif now - self._stop_requested_at > _SIGNAL_DEBOUNCE_SECONDS:
            self._force_stop = True

    def _forward_output(self, child: _Child, lines: LineReader, captured: bool) -> None:
        for line in lines.read():
            if line.strip():
                child.last_line = line.strip()
            if captured and child.captured_lines is not None:
                child.captured_lines.append(line)
            else:
                self.console.print_line(child.program.name, line)
        if lines.is_at_end and lines in child.outputs:
            child.outputs.remove(lines)
            self._selector.unregister(lines.descriptor)
            os.close(lines.descriptor)

    def _check_child(self, child: _Child) -> None:
        if child.process is not None and child.process.poll() is not None:
            self._handle_exit(child, child.process)
        elif child.restart_at is not None and time.monotonic() >= child.restart_at and not self._stopping:
            self._launch(child)

    def _launch(self, child: _Child) -> None:
        child.restart_at = None
        child.started_at = time.monotonic()
        try:
            process = subprocess.Popen(
                child.program.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if child.captured_lines is None else subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
                restore_signals=child.program.run is None,
                preexec_fn=partial(self._before_exec, child.program, os.getpid()),  # safe with one thread, see above
            )
        except OSError as error:  # out of memory or processes: temporary
            child.last_line = str(error)
            self._schedule_restart(child, "could not start")
            return
        child.process = process
        self._sessions[process.pid] = child.program
        self._notify_reaper(f"+{process.pid}")
        for pipe, captured in ((process.stdout, child.captured_lines is not None), (process.stderr, False)):
            if pipe is not None:
                lines = LineReader(os.dup(pipe.fileno()))
                pipe.close()
                child.outputs.append(lines)
                self._selector.register(lines.descriptor, selectors.EVENT_READ, (child, lines, captured))

    def _before_exec(self, program: Program, supervisor: int) -> None:
        """Runs in the child."""
        die_with_parent(supervisor)
        if program.run is not None:
            self._restore_signals()
            forked_child.run(program.run, program.command)

    def _handle_exit(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is not None and key.data[0] is child:
                self._forward_output(*key.data)  # the last output comes before the exit message
        child.process = None
        child.exit_code = process.returncode
        if child.restarts and not self._stopping and self._stop_requested_at is None:
            code = process.returncode
            self._schedule_restart(child, f"ended ({f'signal {-code}' if code < 0 else f'exit code {code}'})")

    def _schedule_restart(self, child: _Child, reason: str) -> None:
        failed_quickly = time.monotonic() - child.started_at < _MIN_UPTIME_SECONDS
        child.failed_starts = child.failed_starts + 1 if failed_quickly else 1
        if not child.restarts:
            child.exit_code = 127
            return
        delay = self._backoff.delay_seconds(child.failed_starts)
        child.restart_at = time.monotonic() + delay
        name = child.program.name
        self.console.print_line("portal", f"{name} {reason}; restarting in {delay:g} s")
        if child.failed_starts % _REPORT_EVERY == 0:
            last_output = f"Last output: {child.last_line}" if child.last_line else "It printed nothing."
            self.console.print_line("portal", f"{name} failed to start {child.failed_starts} times. {last_output}")

    def _stop_sessions(self, sessions: set[int], grace_seconds: float) -> None:
        orphan_reaper.terminate_leaders(sessions)
        deadline = time.monotonic() + grace_seconds
        while orphan_reaper.live_processes(sessions) and time.monotonic() < deadline and not self._force_stop:
            self._run_iteration()
        orphan_reaper.kill_members(sessions)
        self._run_iteration()

    def _forget_empty_sessions(self) -> None:
        """Keep a dead leader's session until its last member is gone: a work horse may still be finishing."""
        running = {child.process.pid for child in self._children if child.process}
        leaderless = self._sessions.keys() - running
        if not leaderless:
            return
        for session in leaderless - set(orphan_reaper.live_processes(leaderless).values()):
            del self._sessions[session]
            self._notify_reaper(f"-{session}")

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        """Pass the current sessions as arguments, so that the reaper knows them even if we die at once."""
        sessions = [str(session) for session in self._sessions]
        return subprocess.Popen(
            [sys.executable, "-I", orphan_reaper.__file__, str(self._grace_seconds), *sessions],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._inherited_fds,
        )

    def _notify_reaper(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # it was killed: the next iteration starts a new one
            if self._reaper.stdin:
                self._reaper.stdin.write(f"{line}\n".encode())
                self._reaper.stdin.flush()


def _ignore_signal(_signum: int, _frame: FrameType | None) -> None:
    """Without a handler, the signal would not reach the wake-up descriptor."""
