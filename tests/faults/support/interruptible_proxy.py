"""A TCP proxy to a database whose traffic can be stopped, as in a network partition."""

import contextlib
import socket
import threading
from pathlib import Path

from tests.support import servers

_CHUNK = 65_536


class InterruptibleProxy:
    """Forwards a TCP port to a Unix socket."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.port = servers.free_port()
        self._connected = threading.Event()
        self._connected.set()
        self._closed = False
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True, name="proxy").start()

    def partition(self) -> None:
        """Stop all traffic but keep the connections open, as when a cable is unplugged."""
        self._connected.clear()

    def heal(self) -> None:
        self._connected.set()

    def close(self) -> None:
        self._closed = True
        self._connected.set()
        self._server.close()
        for endpoint in self._sockets:
            with contextlib.suppress(OSError):
                endpoint.close()

    def _serve(self) -> None:
        while not self._closed:
            try:
                client, _ = self._server.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._target))
            except OSError:
                continue
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True, name="proxy").start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(_CHUNK):
                self._connected.wait()
                target.sendall(chunk)
        for endpoint in (source, target):
            with contextlib.suppress(OSError):
                endpoint.shutdown(socket.SHUT_RDWR)
