"""The `portal` command as somebody types it: a process, its exit code, and what it says where."""

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
    """Commands on one instance folder; other `PORTAL_*` variables of the caller do not reach them."""

    def __init__(self, commands: CommandRunner, instance: Path, **variables: str) -> None:
        self.commands, self.instance = commands, instance
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        self.variables = {**kept, "PORTAL_INSTANCE": str(instance), **variables}

    def run(self, *words: str, stdin_text: str = "", **variables: str) -> CommandResult:
        return self.commands.run(words, {**self.variables, **variables}, stdin_text)

    def run_in_new_process(self, *words: str) -> CommandResult:
        """In a process of its own from the start."""
        return subprocess.run(
            servers.portal_command(*words),
            cwd=servers.ROOT,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def run_in_terminal(self, typed: str, *words: str) -> tuple[int, str]:
        """Its exit code and everything it says, as somebody sees it who types this answer."""
        terminal, end = pty.openpty()
        os.write(terminal, typed.encode())
        command = subprocess.run(
            servers.portal_command(*words),
            cwd=servers.ROOT,
            env=self.variables,
            stdin=end,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        os.close(end)
        os.close(terminal)
        return command.returncode, command.stdout

    def run_all(self, commands: Sequence[Sequence[str]]) -> list[CommandResult]:
        return [self.run(*words) for words in commands]

    def output_of(self, *words: str, **more: Any) -> str:
        """What a command that was obeyed prints."""
        answer = self.run(*words, **more)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    def error_of(self, *words: str, **more: Any) -> str:
        """The one sentence of a command that was refused."""
        return only_error_line(self.run(*words, **more))

    def write_file(self, name: str, content: str | bytes) -> str:
        path = self.instance / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def select_rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database holds (SQLite)."""
        with sqlite3.connect(self.instance / "portal.sqlite") as connection:
            return connection.execute(query).fetchall()

    def add_template(self, key: str = "renewal", body: str = "Dear {{ name }}.", *options: str, **more: str) -> str:
        written = self.write_file(f"{key}.md", body)
        return self.output_of(
            *("templates", "create", key, "--name", "Renewal", "--subject", more.get("subject", "Due")),
            *("--body-file", written, *options),
        )

    def import_accounts(self, *numbers: str, account_type: str = "Practitioner") -> str:
        lines = [f"{number},Person {number},{number}@example.org,{account_type}" for number in numbers]
        written = self.write_file("people.csv", "\n".join(["external_id,name,email,account_type", *lines]))
        return self.output_of("accounts", "import", written)


def only_error_line(answer: CommandResult) -> str:
    """One sentence on stderr, nothing on stdout, an exit code that says no."""
    lines = answer.stderr.strip().splitlines()
    assert answer.returncode != 0
    assert answer.stdout == ""
    assert len(lines) == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    return lines[0]
