"""Run `portal` commands and capture their output and exit code."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.commands.fork_server_client import ForkServerClient

CommandResult = subprocess.CompletedProcess[str]


class CommandRunner:
    """`folder` holds the commands' stdin, stdout and stderr."""

    def __init__(self, fork_server: ForkServerClient, folder: Path) -> None:
        self._fork_server = fork_server
        self._stdin, self._stdout, self._stderr = (folder / name for name in ("stdin", "stdout", "stderr"))

    def run(
        self, arguments: Sequence[str], environment: dict[str, str], stdin_text: str, terminal: str = ""
    ) -> CommandResult:
        """`terminal` is the path of one, instead of a text for stdin."""
        self._stdin.write_text(stdin_text)
        for output in (self._stdout, self._stderr):
            output.write_text("")
        files = [terminal or str(self._stdin), str(self._stdout), str(self._stderr)]
        code = self._fork_server.run(arguments, environment, files)
        return CommandResult(arguments, code, self._stdout.read_text(), self._stderr.read_text())
