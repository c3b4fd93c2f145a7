"""One console for many processes: every line starts with the name of its process."""

import os
from typing import TextIO

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
_LONGEST_LINE_BYTES = 64 * 1024
_MAX_CONSECUTIVE_READS = 16  # so that a fast writer does not block the others


class Console:
    """Prints whole lines; `closed` is set, and nothing raised, once nobody reads them."""

    def __init__(self, stream: TextIO) -> None:
        self.closed = False
        self._stream = stream
        self._coloured = stream.isatty() and "NO_COLOR" not in os.environ
        self._names: list[str] = []

    def print_line(self, name: str, text: str) -> None:
        self.print_line_raw(f"{self._prefix(name)} {text}")

    def print_line_raw(self, text: str) -> None:
        if self.closed:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except UnicodeEncodeError:
            self.print_line_raw(text.encode("ascii", "replace").decode())
        except (OSError, ValueError):  # the pipe or the terminal was closed
            self.closed = True

    def _prefix(self, name: str) -> str:
        if name not in self._names:
            self._names.append(name)
        prefix = f"{name:<12}|"
        if not self._coloured:
            return prefix
        colour = _COLOURS[self._names.index(name) % len(_COLOURS)]
        return f"\033[{colour}m{prefix}\033[0m"


class LineReader:
    """Splits the input from a descriptor into lines."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.is_at_end = False
        self._partial_line = b""

    def read(self) -> list[str]:
        """The complete lines available now, without blocking."""
        lines: list[bytes] = []
        for _ in range(_MAX_CONSECUTIVE_READS):
            try:
                data = os.read(self.descriptor, 65_536)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self.is_at_end = not data
            lines += self._split_lines(data)
            if self.is_at_end:
                break
        return [line.rstrip(b"\r").decode("utf-8", "replace") for line in lines]

    def _split_lines(self, data: bytes) -> list[bytes]:
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        if self._partial_line and (self.is_at_end or len(self._partial_line) > _LONGEST_LINE_BYTES):
            lines.append(self._partial_line)
            self._partial_line = b""
        return lines
