"""A complete portal, started with `portal up --demo`."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import servers
from tests.support.commands.command_runner import CommandRunner


@dataclass(frozen=True)
class RunningPortal:
    instance: Path
    port: int
    process: "subprocess.Popen[str]"
    commands: CommandRunner

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.port + 1}"

    def run_cli(self, *arguments: str) -> str:
        """The output of `portal ARGUMENTS`."""
        done = self.commands.run(arguments, {**os.environ, "PORTAL_INSTANCE": str(self.instance)}, "")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def start_portal(instance: Path, commands: CommandRunner) -> Iterator[RunningPortal]:
    port = servers.consecutive_free_ports(3)
    env = {"PORTAL_INSTANCE": str(instance), "PORTAL_MAINTENANCE_INTERVAL": "1"}
    command = servers.portal_command("up", "--demo", "--port", str(port))
    with servers.running_process(command, env, stdout=subprocess.DEVNULL) as process:
        portal = RunningPortal(instance, port, process, commands)
        servers.wait_for(lambda: servers.responds_ok(f"{portal.url}/readyz"), "the portal to be ready", 100)
        portal.run_cli("config", "set", "SendUndoSeconds", "0")  # the tests need not wait for it
        yield portal
