"""Ends the processes that a supervisor leaves behind when it is killed.

Every child of the supervisor leads its own session. Whatever a child forks stays in that session even after `setpgrp`,
which RQ's work horses call, so a whole session can be ended. Run as a program (`orphan_reaper.py GRACE_SECONDS
SESSION ...`), this file reads the supervisor's pipe (`+123`: a session started, `-123`: it ended); the end of the pipe
means that the supervisor is gone.
It uses the standard library only and imports nothing of ours, to stay small and not to fail with the rest.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_POLL_SECONDS = 0.05
_KILL_SECONDS = 5.0


def live_processes(sessions: Collection[int]) -> dict[int, int]:
    """Map the live processes of these sessions, without zombies, to their sessions."""
    processes = _linux_processes() if Path("/proc/self/stat").exists() else _other_processes()
    return {pid: session for pid, session in processes if session in sessions}


def terminate_leaders(sessions: Collection[int]) -> None:
    """Send SIGTERM to the leaders only: a worker lets its work horse finish, but the signal would kill the horse."""
    for leader in sessions:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(leader) == leader:
                os.kill(leader, signal.SIGTERM)


def kill_members(sessions: Collection[int]) -> None:
    """Send SIGKILL until no process is left, because a member may fork meanwhile."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (remaining := live_processes(sessions)) and time.monotonic() < deadline:
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def end_sessions(sessions: Collection[int], grace_seconds: float) -> None:
    terminate_leaders(sessions)
    deadline = time.monotonic() + grace_seconds
    while live_processes(sessions) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    kill_members(sessions)


def _linux_processes() -> Iterator[tuple[int, int]]:
    for folder in os.scandir("/proc"):
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # The program's name is in parentheses and may contain anything. After the last parenthesis come
            # state, parent, process group and session.
            fields = Path(folder.path, "stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] not in "ZX":
                yield int(folder.name), int(fields[3])


def _other_processes() -> Iterator[tuple[int, int]]:
    listing = subprocess.run(["ps", "-axo", "pid=,stat="], capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        pid, _, state = line.strip().partition(" ")
        with contextlib.suppress(OSError, ValueError):
            if not state.strip().startswith("Z"):
                yield int(pid), os.getsid(int(pid))


def main(grace_seconds: float, sessions: set[int]) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    for line in sys.stdin:
        change = sessions.add if line[0] == "+" else sessions.discard
        change(int(line[1:]))
    end_sessions(sessions, grace_seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]), {int(session) for session in sys.argv[2:]})
