"""The whole product as somebody starts it: `portal up --demo`."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import parts
from commanded import Commands


@dataclass(frozen=True)
class Product:
    instance: Path
    port: int
    process: "subprocess.Popen[str]"
    commands: Commands

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def outside(self) -> str:
        """The simulator, with its handsets and its mailbox."""
        return f"http://127.0.0.1:{self.port + 1}"

    def command(self, *words: str) -> str:
        """What `portal WORDS` prints."""
        done = self.commands.run(words, {**os.environ, "PORTAL_INSTANCE": str(self.instance)}, "")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextlib.contextmanager
def started(instance: Path, commands: Commands) -> Iterator[Product]:
    port = parts.free_ports_in_a_row(3)
    env = {"PORTAL_INSTANCE": str(instance), "PORTAL_SWEEP_INTERVAL": "1"}
    command = parts.portal_command("up", "--demo", "--port", str(port))
    with parts.running(command, env, stdout=subprocess.DEVNULL) as process:
        found = Product(instance, port, process, commands)
        parts.wait_for(lambda: parts.answers(f"{found.url}/readyz"), "the portal to be ready", 100)
        yield found
