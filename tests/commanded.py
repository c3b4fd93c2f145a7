"""`portal` commands as somebody types them: what they print, and how they end."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import parts

Answer = subprocess.CompletedProcess[str]


class Commands:
    """The process that forks for each command (prefork.py)."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.files = process, [folder / name for name in ("stdin", "stdout", "stderr")]

    def run(self, words: Sequence[str], environment: dict[str, str], given: str) -> Answer:
        self.files[0].write_text(given)
        order = {"words": words, "environment": environment, "files": [str(path) for path in self.files]}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return Answer(words, code, self.files[1].read_text(), self.files[2].read_text())


@contextlib.contextmanager
def prefork(folder: Path) -> Iterator[Commands]:
    """With a folder for what the commands say."""
    command = [sys.executable, str(Path(__file__).with_name("prefork.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with parts.running(command, {"PYTHONPATH": str(parts.ROOT)}, **pipes) as process:
        yield Commands(process, folder)
