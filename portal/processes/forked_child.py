"""Runs a function in a child that `subprocess` has forked, instead of executing a program (ADR 31)."""

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

_ARG_START, _ARG_END = 45, 46
"""Where the command line is in memory: fields of /proc/self/stat after the program's name."""


def run(function: Callable[[], object], title: Sequence[str]) -> NoReturn:
    """End this process with the exit code of the function, and without any clean-up that belongs to the parent."""
    exit_code = 1
    try:
        _close_descriptors()  # `subprocess` then reports to the parent that the child runs
        _set_process_title(title)
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        gc.enable()  # `subprocess` disables it
        exit_code = _call(function)
        sys.stdout.flush()
    finally:
        os._exit(exit_code)


def _close_descriptors() -> None:
    """All but the streams: one by one, because the limit may be a billion or none."""
    for descriptor in [int(link.name) for link in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2:
            with contextlib.suppress(OSError):  # the one that listed the folder
                os.close(descriptor)


def _call(function: Callable[[], object]) -> int:
    """The exit code, by the rules for a whole Python program."""
    try:
        function()
    except SystemExit as request:
        if request.code is None or isinstance(request.code, int):
            return request.code or 0
        print(request.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _set_process_title(words: Sequence[str]) -> None:
    """Overwrite the command line that `ps` shows; what does not fit into the parent's is cut off."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    if 0 < start < end:  # some sandboxes hide them
        title = "\0".join(words).encode()[: end - start - 1]
        ctypes.memmove(start, title.ljust(end - start, b"\0"), end - start)
