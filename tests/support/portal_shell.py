"""The `portal` command as somebody types it: a process, its exit code, and what it prints."""

import os
import pty
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import servers
from tests.support.commands.command_runner import CommandResult, CommandRunner

CLI_ACCOUNT_CSV_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"


class PortalShell:
    """Commands on one instance folder; they do not inherit `PORTAL_*` variables. Texts leave at any hour.

    Passwords are enough for administrators.
    """

    def __init__(self, commands: CommandRunner, instance: Path, **variables: str) -> None:
        self.commands, self.instance = commands, instance
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        limits = {"PORTAL_QUIET_HOURS": "off", "PORTAL_FREQUENCY_CAP": "off", "PORTAL_SECOND_FACTOR": "optional"}
        self.variables = {**inherited, **limits, "PORTAL_INSTANCE": str(instance), **variables}

    def run(self, *arguments: str, stdin_text: str = "", **variables: str) -> CommandResult:
        return self.commands.run(arguments, {**self.variables, **variables}, stdin_text)

    def run_in_new_process(self, *arguments: str) -> CommandResult:
        return subprocess.run(
            servers.portal_command(*arguments),
            cwd=servers.ROOT,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run_in_terminal(self, typed: str, *arguments: str) -> tuple[int, str]:
        """Type an answer in a terminal; return the exit code and the output."""
        terminal, end = pty.openpty()
        os.write(terminal, typed.encode())
        command = self.commands.run(arguments, self.variables, "", os.ttyname(end))
        os.close(end)
        os.close(terminal)
        return command.returncode, command.stdout + command.stderr

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[CommandResult]:
        return [self.run(*arguments) for arguments in commands]

    def output_of(self, *arguments: str, **options: Any) -> str:
        """The output of a command that succeeds."""
        result = self.run(*arguments, **options)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def error_of(self, *arguments: str, **options: Any) -> str:
        """The error line of a command that fails."""
        return only_error_line(self.run(*arguments, **options))

    def write_file(self, name: str, content: str | bytes) -> str:
        path = self.instance / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def select_rows(self, query: str) -> list[tuple[Any, ...]]:
        """From the SQLite database."""
        with sqlite3.connect(self.instance / "portal.sqlite") as connection:
            return connection.execute(query).fetchall()

    def add_template(
        self, key: str = "renewal", body: str = "Dear {{ name }}.", *options: str, subject: str = "Due"
    ) -> str:
        path = self.write_file(f"{key}.md", body)
        return self.output_of(
            *("templates", "create", key, "--name", "Renewal", "--subject", subject),
            *("--body-file", path, *options),
        )

    def import_accounts(self, *numbers: str, account_type: str = "Practitioner") -> str:
        lines = [f"{number},Person {number},{number}@example.org,{account_type}" for number in numbers]
        path = self.write_file("people.csv", "\n".join(["external_id,name,email,account_type", *lines]))
        return self.output_of("accounts", "import", path)


def only_error_line(result: CommandResult) -> str:
    """The only line on stderr; stdout is empty and the exit code is not 0."""
    lines = result.stderr.strip().splitlines()
    assert result.returncode != 0
    assert result.stdout == ""
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]
