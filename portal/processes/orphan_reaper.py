"""Ends what a supervisor would leave behind when it is killed outright.

Every child of the supervisor leads a session of its own, and whatever a child forks stays in that session even after
`setpgrp` (RQ's work horses do that), so a session can be ended whole. Run as a program (`guardian.py GRACE_SECONDS
SESSION ...`), this file reads the supervisor's pipe (`+123` a session began, `-123` it is over); the end of that pipe
means the supervisor is gone.
It uses the standard library only and imports nothing of ours: it must be small, and must not fail with the rest.
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
    """The living processes of these sessions, zombies left out, each with its session."""
    found = _linux_processes() if Path("/proc/self/stat").exists() else _other_processes()
    return {pid: session for pid, session in found if session in sessions}


def terminate_leaders(sessions: Collection[int]) -> None:
    """SIGTERM to the leaders alone: a worker then lets its work horse finish; the horse itself would die of it."""
    for leader in sessions:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(leader) == leader:
                os.kill(leader, signal.SIGTERM)


def kill_members(sessions: Collection[int]) -> None:
    """SIGKILL until nobody is left; repeated because a member may fork meanwhile."""
    deadline = time.monotonic() + _KILL_SECONDS
    while (left := live_processes(sessions)) and time.monotonic() < deadline:
        for pid in left:
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
            # The program's name stands in brackets and may hold anything: what follows the last bracket is
            # state, parent, process group, session.
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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for line in sys.stdin:
        change = sessions.add if line[0] == "+" else sessions.discard
        change(int(line[1:]))
    end_sessions(sessions, grace_seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]), {int(word) for word in sys.argv[2:]})
