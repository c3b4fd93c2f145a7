"""A wire between a process and its database that can be cut: what is sent meanwhile arrives nowhere."""

import contextlib
import socket
import threading
from pathlib import Path

from tests.support import servers

_CHUNK = 65_536


class InterruptibleProxy:
    """Listens on a port and hands everything on to a Unix socket."""

    def __init__(self, to: Path) -> None:
        self._to = to
        self.port = servers.free_port()
        self._connected = threading.Event()
        self._connected.set()
        self._ended = False
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True, name="wire").start()

    def partition(self) -> None:
        """Nobody is told: bytes stop, connections stay, as when a cable is pulled."""
        self._connected.clear()

    def heal(self) -> None:
        self._connected.set()

    def close(self) -> None:
        self._ended = True
        self._connected.set()
        self._server.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.close()

    def _serve(self) -> None:
        while not self._ended:
            try:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._to))
            except OSError:
                continue
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True, name="wire").start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                self._connected.wait()
                target.sendall(chunk)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
