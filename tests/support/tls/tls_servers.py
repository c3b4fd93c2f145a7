"""TLS in front of a server that has none itself, and an HTTPS server that keeps what it gets."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.fakes.stub_servers import serving_in_thread

_CHUNK = 65_536


def server_context(identity: tuple[bytes, bytes]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "identity.pem"
        file.write_bytes(b"".join(identity))
        context.load_cert_chain(file)
    return context


@contextlib.contextmanager
def tls_in_front_of(target: Path, identity: tuple[bytes, bytes]) -> Iterator[int]:
    """The port on which TLS leads to a Unix socket."""
    context = server_context(identity)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, target), daemon=True, name="tls").start()
        yield int(listener.getsockname()[1])


def _accept(listener: socket.socket, context: ssl.SSLContext, target: Path) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, target), daemon=True, name="tls").start()


def _serve(client: socket.socket, context: ssl.SSLContext, target: Path) -> None:
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(client, server_side=True) as encrypted,
        socket.socket(socket.AF_UNIX) as plain,
    ):
        plain.connect(str(target))
        threading.Thread(target=_forward, args=(plain, encrypted), daemon=True, name="tls").start()
        _forward(encrypted, plain)


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)


@dataclass
class HttpsServer:
    url: str = ""
    paths: list[str] = field(default_factory=list)


@contextlib.contextmanager
def https_server(context: ssl.SSLContext, location: str = "") -> Iterator[HttpsServer]:
    """Accepts every request, or redirects it to `location`."""
    received = HttpsServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.paths.append(self.path)
            self.send_response(307 if location else 204)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    received.url = f"https://127.0.0.1:{server.server_port}"
    with serving_in_thread(server):
        yield received
