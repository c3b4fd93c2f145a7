"""Run `portal` commands and capture their output and exit code."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support import servers

CommandResult = subprocess.CompletedProcess[str]


class CommandRunner:
    """A client for the process that forks for each command (command_server.py)."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process, self.files = process, [folder / name for name in ("stdin", "stdout", "stderr")]

    def run(
        self, arguments: Sequence[str], environment: dict[str, str], stdin_text: str, terminal: str = ""
    ) -> CommandResult:
        """`terminal` is the path of one, instead of a text for stdin."""
        self.files[0].write_text(stdin_text)
        files = [terminal or str(self.files[0]), *map(str, self.files[1:])]
        request = {"arguments": arguments, "environment": environment, "files": files}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return CommandResult(arguments, code, self.files[1].read_text(), self.files[2].read_text())


@contextlib.contextmanager
def running_command_server(folder: Path) -> Iterator[CommandRunner]:
    """`folder` holds the commands' stdin, stdout and stderr."""
    command = [sys.executable, "-m", "tests.support.commands.command_server"]
    environment, pipe = {"PYTHONPATH": str(servers.ROOT)}, subprocess.PIPE
    with servers.running_process(command, environment, stdin=pipe, stdout=pipe) as process:
        yield CommandRunner(process, folder)
