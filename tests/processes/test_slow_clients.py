"""Slow clients, and those that never finish a request, do not block the threads."""

import contextlib
import os
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.commands.fork_server_client import ForkServerClient

_SERVER = """
import sys
import tempfile
from gunicorn.app.base import BaseApplication
from portal.processes import buffering_worker
buffering_worker.HEADER_TIMEOUT_SECONDS, buffering_worker.MIN_BYTES_PER_SECOND = float(sys.argv[2]), 100_000
buffering_worker._SOCKET_TIMEOUT_SECONDS = max(1, round(buffering_worker.HEADER_TIMEOUT_SECONDS))

def app(environ, start_response):
    if environ["PATH_INFO"] == "/File":
        start_response("200 OK", [("Content-Length", "200000")])
        file = tempfile.TemporaryFile()
        file.write(b"x" * 200_000)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)
    too_large = int(environ.get("CONTENT_LENGTH") or 0) > buffering_worker.MAX_BODY_BYTES
    if too_large and environ["PATH_INFO"] != "/Import":
        start_response("413 Too Large", [("Content-Length", "9")])
        return [b"too large"]
    body = environ["wsgi.input"].read()
    summary = f"{environ['REQUEST_METHOD']} {len(body)} {sum(body)}".encode()
    start_response("200 OK", [("Content-Length", str(len(summary)))])
    return [summary]

class Server(BaseApplication):
    def load_config(self):
        options = {"bind": f"127.0.0.1:{sys.argv[1]}", "workers": 1, "threads": 4, "loglevel": "warning",
                   "worker_class": buffering_worker.BufferingWorker, "control_socket_disable": True}
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self):
        return app

Server().run()
"""
_CLIENTS = 60


@contextlib.contextmanager
def running_server(header_timeout_seconds: float) -> Iterator[int]:
    """The port of a server with four threads."""
    port = servers.free_port()
    with servers.running_process([sys.executable, "-c", _SERVER, str(port), str(header_timeout_seconds)]):
        servers.wait_for(lambda: servers.responds_ok(f"http://127.0.0.1:{port}/"), "the server to respond")
        yield port


@pytest.fixture(scope="module")
def slow_tolerant_port() -> Iterator[int]:
    with running_server(60) as port:
        yield port


def open_connection(port: int, *pieces: bytes, pause: float = 0.0) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    for piece in pieces:
        sock.sendall(piece)
        time.sleep(pause)
    return sock


def read_response(sock: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    with contextlib.closing(sock):
        return b"".join(iter(lambda: sock.recv(65_536), b""))


_HOST = b"Host: x\r\n"
_STALLED_REQUESTS = {
    "body": b"POST / HTTP/1.1\r\n" + _HOST + b"Content-Length: 500\r\n\r\nabc",
    "head": b"POST / HTTP/1.1\r\n" + _HOST + b"X-Long: ",
    "nothing": b"",
    "chunk": b"POST / HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe",
    "chunk that looks like the end": (
        b"POST / HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n20\r\n\r\n0\r\n\r\n"
    ),
    "after another request": (
        b"GET / HTTP/1.1\r\n" + _HOST + b"\r\nPOST / HTTP/1.1\r\n" + _HOST + b"Content-Length: 9\r\n\r\n"
    ),
    "waiting for 100 Continue": (
        b"POST / HTTP/1.1\r\n" + _HOST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    ),
    "too large": b"POST / HTTP/1.1\r\n" + _HOST + b"Content-Length: 9000000\r\n\r\nabc",
    "answered, but not closed": b"GET / HTTP/1.1\r\n" + _HOST + b"Connection: close\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", _STALLED_REQUESTS)
def test_stalled_requests_do_not_block_others(slow_tolerant_port: int, kind: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(_CLIENTS):
            stack.enter_context(open_connection(slow_tolerant_port, _STALLED_REQUESTS[kind]))
        started = time.monotonic()
        for _ in range(8):
            request = urllib.request.Request(f"http://127.0.0.1:{slow_tolerant_port}/", data=b"abc")
            with urllib.request.urlopen(request, timeout=10) as response:
                assert response.read() == b"POST 3 294"
        assert time.monotonic() - started < 4


def test_stalled_posts_do_not_block_the_portals_pages(
    fork_server: ForkServerClient, sqlite_template_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "portal.sqlite").write_bytes(sqlite_template_file.read_bytes())
    port = servers.free_port()
    arguments = ("web", "--port", str(port), "--processes", "1")
    variables = {**os.environ, "PORTAL_INSTANCE": str(tmp_path)}
    with fork_server.running(arguments, variables, tmp_path / "web.log"), contextlib.ExitStack() as stalled:
        servers.wait_for(lambda: servers.responds_ok(f"http://127.0.0.1:{port}/healthz"), "the portal to respond", 60)
        for _ in range(_CLIENTS):
            stalled.enter_context(open_connection(port, _STALLED_REQUESTS["body"].replace(b"POST /", b"POST /SignIn")))
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/SignIn", timeout=5) as response:
                assert b"Sign in" in response.read()


_POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnec"
_CLOSE = b"tion: close\r\n"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((_POST, _CLOSE + b"Content-Length: 6\r\n", b"\r\nab", b"cd", b"ef"), b"POST 6 597"),
        ((_POST, _CLOSE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nab", b"c\r\n3;x=1\r\ndef\r", b"\n0\r\n", b"\r\n"),
         b"POST 6 597"),
        ((_POST, _CLOSE + b"Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\nX: 1\r", b"\n\r\n"), b"POST 6 597"),
        ((_POST.replace(b"POST", b"GET"), _CLOSE + b"\r", b"\n"), b"GET 0 0"),
    ],
)  # fmt: skip
def test_slow_request_is_answered(slow_tolerant_port: int, pieces: tuple[bytes, ...], expected: bytes) -> None:
    assert read_response(open_connection(slow_tolerant_port, *pieces, pause=0.1)).endswith(expected)


def test_pipelined_requests_are_answered_in_order(slow_tolerant_port: int) -> None:
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%s"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    response = read_response(open_connection(slow_tolerant_port, post % b"a" + post % b"b" + post % b"c" + last))
    positions = [response.find(summary) for summary in (b"POST 1 97", b"POST 1 98", b"POST 1 99", b"GET 0 0")]
    assert positions == sorted(positions)
    assert -1 not in positions
    assert response.count(b"200 OK") == 4


def test_body_of_the_maximum_size_arrives_complete(slow_tolerant_port: int) -> None:
    body = bytes(range(256)) * 4096
    request = urllib.request.Request(f"http://127.0.0.1:{slow_tolerant_port}/", data=body)
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.read().decode() == f"POST {len(body)} {sum(body)}"


def test_client_reads_that_its_body_is_too_large(slow_tolerant_port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    assert read_response(open_connection(slow_tolerant_port, head, b"x" * 3_000_000)).endswith(b"too large")


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_large_upload_arrives_complete(slow_tolerant_port: int, framing: str) -> None:
    body = bytes(range(256)) * 20_000
    length, chunks = b"Content-Length: %d" % len(body), b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    header, content = (length, body) if framing == "length" else (b"Transfer-Encoding: chunked", chunks)
    head = b"POST /Import HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
    assert read_response(open_connection(slow_tolerant_port, head + content)).endswith(
        b"POST %d %d" % (len(body), sum(body))
    )


def test_end_of_a_large_body_may_come_with_the_next_request(slow_tolerant_port: int) -> None:
    body = b"a" * 1_040_000
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    last = post.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
    assert read_response(open_connection(slow_tolerant_port, post + last)).count(b"POST 1040000 ") == 2


@pytest.mark.parametrize("tail", [b"0\r\nX: ", b"1;"])
def test_endless_trailer_is_refused(slow_tolerant_port: int, tail: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    sock = open_connection(slow_tolerant_port, head + tail)
    with contextlib.suppress(OSError):
        sock.sendall(b"x" * 3_000_000)
    assert read_response(sock).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


@pytest.mark.parametrize("header", [b"Content-Length: ten", b"Content-Length: 1\r\nContent-Length: 2"])
def test_malformed_header_is_refused_at_once(slow_tolerant_port: int, header: bytes) -> None:
    sock = open_connection(slow_tolerant_port, b"POST / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
    assert sock.recv(65_536).startswith(b"HTTP/1.1 400")
    sock.close()


@pytest.mark.parametrize("request_line", [b"GET /<b> HTTP/9.9", b"<b> / HTTP/1.1", b"GET / HTTP/1.1\r\nX<b>: 1"])
def test_error_page_is_safe(slow_tolerant_port: int, request_line: bytes) -> None:
    response = read_response(open_connection(slow_tolerant_port, request_line + b"\r\n\r\n"))
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    for header in (b"Content-Security-Policy: default-src 'none'", b"X-Content-Type-Options: nosniff", b"text/plain"):
        assert header in response
    assert b"<b" not in response


def test_expect_100_continue_is_answered(slow_tolerant_port: int) -> None:
    sock = open_connection(slow_tolerant_port, _STALLED_REQUESTS["waiting for 100 Continue"])
    assert sock.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
    sock.sendall(b"a" * 9)
    assert b"POST 9 873" in read_response(sock)


def test_stalled_requests_time_out() -> None:
    with running_server(0.5) as port:
        started = time.monotonic()
        stalled = [open_connection(port, _STALLED_REQUESTS[kind]) for kind in ("head", "body", "chunk")]
        for sock in stalled:
            assert read_response(sock).startswith(b"HTTP/1.1 408")
        assert read_response(open_connection(port)) == b""
        assert time.monotonic() - started < 8


def test_clients_that_do_not_read_block_threads_only_briefly() -> None:
    with running_server(1) as port, contextlib.ExitStack() as stack:
        for _ in range(8):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
            sock.connect(("127.0.0.1", port))
            sock.sendall(b"GET /File HTTP/1.1\r\nHost: x\r\n\r\n")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=15) as response:
            assert response.read() == b"GET 0 0"
