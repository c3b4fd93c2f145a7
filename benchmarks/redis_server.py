"""A temporary instance of the embedded Valkey server, for the alternatives that need Redis."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from portal.core.config import redis_socket
from portal.processes.embedded_valkey import embedded_program, is_ready

_OPERATOR = ("--user", "operator", "on", "nopass", "~*", "&*", "+@all")


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The URL of its Unix socket, for a user who may use any key; its data is discarded."""
    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        socket = redis_socket(Path(folder))
        process = subprocess.Popen((*embedded_program(Path(folder)).command, *_OPERATOR))
        try:
            _wait_for(socket)
            yield f"unix://operator@{socket}?password=none"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(socket: Path) -> None:
    for _ in range(200):
        if is_ready(socket):
            return
        time.sleep(0.05)
    raise RuntimeError("the embedded Valkey server did not start")
