"""Callers who are slow, or never end what they began, hold no thread: pages read_response others meanwhile."""

import contextlib
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import servers

_SERVER = """
import sys
import tempfile
from gunicorn.app.base import BaseApplication
from portal.processes import gathering
gathering.HEADER_TIMEOUT_SECONDS, gathering.LEAST_BYTES_A_SECOND = float(sys.argv[2]), 100_000
gathering._SOCKET_TIMEOUT_SECONDS = max(1, round(gathering.HEADER_TIMEOUT_SECONDS))

def app(environ, start_response):
    if environ["PATH_INFO"] == "/File":
        start_response("200 OK", [("Content-Length", "200000")])
        file = tempfile.TemporaryFile()
        file.write(b"x" * 200_000)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)
    too_large = int(environ.get("CONTENT_LENGTH") or 0) > gathering.LARGEST_BODY_BYTES
    if too_large and environ["PATH_INFO"] != "/Import":
        start_response("413 Too Large", [("Content-Length", "9")])
        return [b"too large"]
    body = environ["wsgi.input"].read()
    said = f"{environ['REQUEST_METHOD']} {len(body)} {sum(body)}".encode()
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said]

class Server(BaseApplication):
    def load_config(self):
        options = {"bind": f"127.0.0.1:{sys.argv[1]}", "workers": 1, "threads": 4, "loglevel": "warning",
                   "worker_class": gathering.BufferingWorker, "control_socket_disable": True}
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self):
        return app

Server().run()
"""
_CLIENTS = 60


@contextlib.contextmanager
def server(head_seconds: float) -> Iterator[int]:
    """The port of one with four threads."""
    port = servers.free_port()
    with servers.running_process([sys.executable, "-c", _SERVER, str(port), str(head_seconds)]):
        servers.wait_for(lambda: servers.responds_ok(f"http://127.0.0.1:{port}/"), "the server to read_response")
        yield port


@pytest.fixture(scope="module")
def slow_tolerant_port() -> Iterator[int]:
    with server(60) as port:
        yield port


def open_connection(port: int, *pieces: bytes, pause: float = 0.0) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    for piece in pieces:
        sock.sendall(piece)
        time.sleep(pause)
    return sock


def read_response(sock: socket.socket) -> bytes:
    """All until the server hangs up."""
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
    "behind another request": (
        b"GET / HTTP/1.1\r\n" + _HOST + b"\r\nPOST / HTTP/1.1\r\n" + _HOST + b"Content-Length: 9\r\n\r\n"
    ),
    "waiting for our word": (
        b"POST / HTTP/1.1\r\n" + _HOST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    ),
    "larger than we take": b"POST / HTTP/1.1\r\n" + _HOST + b"Content-Length: 9000000\r\n\r\nabc",
    "answered, and not hung up": b"GET / HTTP/1.1\r\n" + _HOST + b"Connection: close\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", _STALLED_REQUESTS)
def test_sixty_callers_who_never_end_keep_nobody_waiting(slow_tolerant_port: int, kind: str) -> None:
    with contextlib.ExitStack() as open_ones:
        for _ in range(_CLIENTS):
            open_ones.enter_context(open_connection(slow_tolerant_port, _STALLED_REQUESTS[kind]))
        began = time.monotonic()
        for _ in range(8):
            request = urllib.request.Request(f"http://127.0.0.1:{slow_tolerant_port}/", data=b"abc")
            with urllib.request.urlopen(request, timeout=10) as found:
                assert found.read() == b"POST 3 294"
        assert time.monotonic() - began < 4


def test_sixty_stalled_posts_leave_the_portals_own_pages_answering(sqlite_template_file: Path, tmp_path: Path) -> None:
    (tmp_path / "portal.sqlite").write_bytes(sqlite_template_file.read_bytes())
    port = servers.free_port()
    words = ("web", "--port", str(port), "--processes", "1")
    variables = {"PORTAL_INSTANCE": str(tmp_path)}
    with servers.running_process(servers.portal_command(*words), variables), contextlib.ExitStack() as stalled:
        servers.wait_for(
            lambda: servers.responds_ok(f"http://127.0.0.1:{port}/healthz"), "the portal to read_response", 60
        )
        for _ in range(_CLIENTS):
            stalled.enter_context(open_connection(port, _STALLED_REQUESTS["body"].replace(b"POST /", b"POST /SignIn")))
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/SignIn", timeout=5) as found:
                assert b"Sign in" in found.read()


_POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnec"
_CLOSE = b"tion: close\r\n"


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((_POST, _CLOSE + b"Content-Length: 6\r\n", b"\r\nab", b"cd", b"ef"), b"POST 6 597"),
        ((_POST, _CLOSE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nab", b"c\r\n3;x=1\r\ndef\r", b"\n0\r\n", b"\r\n"),
         b"POST 6 597"),
        ((_POST, _CLOSE + b"Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\nX: 1\r", b"\n\r\n"), b"POST 6 597"),
        ((_POST.replace(b"POST", b"GET"), _CLOSE + b"\r", b"\n"), b"GET 0 0"),
    ],
)  # fmt: skip
def test_a_slow_caller_who_ends_is_answered(slow_tolerant_port: int, pieces: tuple[bytes, ...], said: bytes) -> None:
    assert read_response(open_connection(slow_tolerant_port, *pieces, pause=0.1)).endswith(said)


def test_requests_sent_in_a_row_are_answered_in_that_order(slow_tolerant_port: int) -> None:
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%s"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    found = read_response(open_connection(slow_tolerant_port, one % b"a" + one % b"b" + one % b"c" + last))
    places = [found.find(said) for said in (b"POST 1 97", b"POST 1 98", b"POST 1 99", b"GET 0 0")]
    assert places == sorted(places)
    assert -1 not in places
    assert found.count(b"200 OK") == 4


def test_a_body_that_is_as_large_as_may_be_arrives_whole(slow_tolerant_port: int) -> None:
    body = bytes(range(256)) * 4096
    request = urllib.request.Request(f"http://127.0.0.1:{slow_tolerant_port}/", data=body)
    with urllib.request.urlopen(request, timeout=20) as found:
        assert found.read().decode() == f"POST {len(body)} {sum(body)}"


def test_who_sends_more_than_we_take_reads_that_it_is_too_large(slow_tolerant_port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    assert read_response(open_connection(slow_tolerant_port, head, b"x" * 3_000_000)).endswith(b"too large")


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_file_larger_than_other_pages_take_arrives_whole_where_it_may(slow_tolerant_port: int, framing: str) -> None:
    body = bytes(range(256)) * 20_000
    length, chunks = b"Content-Length: %d" % len(body), b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    said, sent = (length, body) if framing == "length" else (b"Transfer-Encoding: chunked", chunks)
    head = b"POST /Import HTTP/1.1\r\nHost: x\r\n" + said + b"\r\n\r\n"
    assert read_response(open_connection(slow_tolerant_port, head + sent)).endswith(
        b"POST %d %d" % (len(body), sum(body))
    )


def test_the_end_of_a_large_body_may_come_with_the_next_request(slow_tolerant_port: int) -> None:
    body = b"a" * 1_040_000
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    last = one.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
    assert read_response(open_connection(slow_tolerant_port, one + last)).count(b"POST 1040000 ") == 2


@pytest.mark.parametrize("tail", [b"0\r\nX: ", b"1;"])
def test_what_follows_chunks_without_end_is_refused_and_not_kept(slow_tolerant_port: int, tail: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    sock = open_connection(slow_tolerant_port, head + tail)
    with contextlib.suppress(OSError):
        sock.sendall(b"x" * 3_000_000)
    assert read_response(sock).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


@pytest.mark.parametrize("nonsense", [b"Content-Length: ten", b"Content-Length: 1\r\nContent-Length: 2"])
def test_a_head_that_makes_no_sense_is_refused_at_once(slow_tolerant_port: int, nonsense: bytes) -> None:
    sock = open_connection(slow_tolerant_port, b"POST / HTTP/1.1\r\nHost: x\r\n" + nonsense + b"\r\n\r\n")
    assert sock.recv(65_536).startswith(b"HTTP/1.1 400")
    sock.close()


@pytest.mark.parametrize("nonsense", [b"GET /<b> HTTP/9.9", b"<b> / HTTP/1.1", b"GET / HTTP/1.1\r\nX<b>: 1"])
def test_what_never_reaches_the_app_is_refused_as_safely(slow_tolerant_port: int, nonsense: bytes) -> None:
    said = read_response(open_connection(slow_tolerant_port, nonsense + b"\r\n\r\n"))
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    for header in (b"Content-Security-Policy: default-src 'none'", b"X-Content-Type-Options: nosniff", b"text/plain"):
        assert header in said
    assert b"<b" not in said


def test_who_asks_whether_to_go_on_is_told_so(slow_tolerant_port: int) -> None:
    sock = open_connection(slow_tolerant_port, _STALLED_REQUESTS["waiting for our word"])
    assert sock.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
    sock.sendall(b"a" * 9)
    assert b"POST 9 873" in sock.recv(1000)
    sock.close()


def test_what_takes_too_long_is_ended() -> None:
    with server(0.5) as port:
        began = time.monotonic()
        stalled = [open_connection(port, _STALLED_REQUESTS[kind]) for kind in ("head", "body", "chunk")]
        for sock in stalled:
            assert read_response(sock).startswith(b"HTTP/1.1 408")
        assert read_response(open_connection(port)) == b""
        assert time.monotonic() - began < 8


def test_callers_who_read_nothing_of_a_file_keep_the_others_waiting_for_a_while_only() -> None:
    with server(1) as port, contextlib.ExitStack() as open_ones:
        for _ in range(8):
            sock = open_ones.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
            sock.connect(("127.0.0.1", port))
            sock.sendall(b"GET /File HTTP/1.1\r\nHost: x\r\n\r\n")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=15) as found:
            assert found.read() == b"GET 0 0"
