"""The web server's worker: a request is gathered whole before a thread takes it up.

gunicorn's threads read from the caller themselves, so as many callers as there are threads, each with a form it never
ends, would stop the server. Here the main loop reads, without waiting for anybody; a thread sees whole requests only.
"""

import contextlib
import re
import socket
import struct
import time
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

HEADER_TIMEOUT_SECONDS = 20.0
MIN_BYTES_PER_SECOND = 4_000
"""A body has as long as its head and a second more for each so many bytes."""
MAX_BODY_BYTES = 1024 * 1024
"""The app refuses what is larger from its head alone; but an administrator's file may be, and a thread reads that."""
_MAX_HEADER_BYTES, _MAX_CHUNK_LINE_BYTES = 64 * 1024, 8 * 1024
_LINGER_SECONDS, _LINGER_OVERSIZED_SECONDS = 2.0, 10.0
"""How long what still comes in is thrown away before a connection is closed: else the caller would lose the answer."""
_MAX_BUFFERING, _MAX_LINGERING, _MAX_BUFFERED_BYTES = 600, 200, 64 * 1024 * 1024
_SCAN_INTERVAL_SECONDS = 0.5
_STOP_GRACE_SECONDS = 2.0
_SOCKET_TIMEOUT_SECONDS = 30
"""No call of a thread on a connection waits longer: for a caller that reads nothing, or what only seems whole."""
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


_REFUSAL = """HTTP/1.1 {status} {reason}\r
Connection: close\r
Content-Type: text/plain\r
Content-Length: {length}\r
Cache-Control: no-store\r
X-Content-Type-Options: nosniff\r
Content-Security-Policy: default-src 'none'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'\r
\r
{reason}"""


def _write_error(sock: socket.socket, status: int, reason: str, _words: str) -> None:
    """Of a request that never reaches the app: gunicorn's own page has no such headers and repeats what was sent."""
    answer = _REFUSAL.format(status=status, reason=reason, length=len(reason))
    util.write_nonblock(sock, answer.encode("latin1"))


util.write_error = _write_error


class RequestBuffer:
    """The bytes of a request as they come in. Each is looked at a few times at most, however small the pieces are."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._reset()

    def _reset(self) -> None:
        self._search_start = self._chunk_offset = 0
        self.header = b""
        self.content_length = 0
        """As its head says; 0 where it does not."""
        self._is_chunked, self._is_well_formed = False, True

    def complete_size(self) -> int:
        """How many bytes make up the first request; 0 while it is not whole. The server refuses what makes no sense."""
        if not self.header and not self._find_header():
            return len(self.received) if len(self.received) > _MAX_HEADER_BYTES else 0
        if self._is_chunked:
            return self._chunked_size()
        if self.is_too_large or not self._is_well_formed:
            return len(self.received)
        whole = len(self.header) + self.content_length
        return whole if len(self.received) >= whole else 0

    @property
    def is_too_large(self) -> bool:
        chunked_bytes = len(self.received) - len(self.header) if self._is_chunked else 0
        return max(self.content_length, chunked_bytes) > MAX_BODY_BYTES

    @property
    def expects_continue(self) -> bool:
        return bool(re.search(rb"\r\nexpect:[ \t]*100-continue", self.header, re.IGNORECASE))

    def take(self, size: int) -> bytes:
        """The first request; what follows it is the next one's. No other is read after one that is too large.

        Of that one goes what is here; whoever reads its body has the rest from the caller.
        """
        closes = self.is_too_large
        size = len(self.received) if closes else size
        taken = bytes(self.received[:size])
        if closes:
            line, _, rest = taken.partition(b"\r\n")
            taken = line + b"\r\nConnection: close\r\n" + rest
        self.received = self.received[size:]
        self._reset()
        return taken

    def _find_header(self) -> bool:
        at = self.received.find(b"\r\n\r\n", max(0, self._search_start - 3))
        self._search_start = len(self.received)
        if at < 0:
            return False
        self.header = bytes(self.received[: at + 4])
        self._parse_header()
        return True

    def _parse_header(self) -> None:
        self._chunk_offset = len(self.header)
        self._is_chunked = bool(re.search(rb"\r\ntransfer-encoding:[^\r\n]*chunked", self.header, re.IGNORECASE))
        found = re.findall(rb"\r\ncontent-length[ \t]*:[ \t]*([^\r\n]*)", self.header, re.IGNORECASE)
        lengths = {length.strip() for length in found}
        self._is_well_formed = len(lengths) < 2 and all(each.isdigit() and len(each) <= 18 for each in lengths)
        self.content_length = int(lengths.pop()) if lengths and self._is_well_formed else 0

    def _chunked_size(self) -> int:
        received = self.received
        while (line_end := self._chunk_line_end()) >= 0:
            try:
                length = int(received[self._chunk_offset : line_end].partition(b";")[0], 16)
            except ValueError:
                return len(received)
            if length <= 0:
                end = received.find(b"\r\n\r\n", line_end)
                too_long = len(received) - line_end > _MAX_HEADER_BYTES
                return end + 4 if end >= 0 else len(received) if too_long else 0
            if line_end + length + 4 > len(received):
                break
            self._chunk_offset = line_end + length + 4
        return len(received) if len(received) - len(self.header) > MAX_BODY_BYTES + _MAX_HEADER_BYTES else 0

    def _chunk_line_end(self) -> int:
        return self.received.find(b"\r\n", self._chunk_offset, self._chunk_offset + _MAX_CHUNK_LINE_BYTES)


class BufferedConnection(TConn):  # type: ignore[misc]
    def __init__(self, worker: "BufferingWorker", sock: socket.socket, caller: Any, server: Any) -> None:
        super().__init__(worker.cfg, sock, caller, server)
        self._worker = worker
        self.request = RequestBuffer()
        self.deadline = 0.0
        self.was_oversized = False

    def feed_parser(self, size: int) -> None:
        """So many bytes of what came in to the server's own parser, which then waits for nothing."""
        self.was_oversized = self.request.is_too_large
        self.init()
        self.parser.unreader.unread(self.request.take(size))
        self.data_ready = True

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self._worker.linger(self)
        else:
            util.close(self.sock)


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cfg.set("sendfile", False)  # it waits without end for a caller that reads nothing
        self._buffering: dict[BufferedConnection, None] = {}
        """The longest first."""
        self._lingering: dict[BufferedConnection, None] = {}
        self._last_scan_at = 0.0

    def accept(self, listener: Any) -> None:
        try:
            sock, caller = listener.accept()
        except OSError:
            return  # the caller is gone, or another process took it
        self.nr_conns += 1
        fence = struct.pack("ll", _SOCKET_TIMEOUT_SECONDS, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, fence)
        self._await_request(BufferedConnection(self, sock, caller, listener.getsockname()))

    def on_client_socket_readable(self, conn: BufferedConnection, client: Any) -> None:
        """A connection that was kept has its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def finish_request(self, conn: BufferedConnection, future: Any) -> None:
        super().finish_request(conn, future)
        if conn.request.received and conn in self.keepalived_conns:
            self.on_client_socket_readable(conn, conn.sock)

    def murder_pending(self) -> None:
        """Called in each turn of the loop: ends what takes too long, and the longest of too many."""
        now = time.monotonic()
        if now < self._last_scan_at + _SCAN_INTERVAL_SECONDS:
            return
        self._last_scan_at = now
        for conn in [each for each in self._lingering if each.deadline <= now]:
            self._stop_lingering(conn)
        stopping = 0.0 if self.alive else HEADER_TIMEOUT_SECONDS - _STOP_GRACE_SECONDS
        for conn in [each for each in self._buffering if each.deadline - stopping <= now]:
            self._time_out(conn)
        held = sum(len(conn.request.received) for conn in self._buffering)
        while self._buffering and (len(self._buffering) > _MAX_BUFFERING or held > _MAX_BUFFERED_BYTES):
            longest = next(iter(self._buffering))
            held -= len(longest.request.received)
            self._time_out(longest)

    def linger(self, conn: BufferedConnection) -> None:
        """Our side is ended; the caller may still be sending. Nobody waits for it."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, 1, partial(self._discard_input, conn))
        except (OSError, ValueError, KeyError):
            util.close(conn.sock)
            return
        conn.deadline = time.monotonic() + (_LINGER_OVERSIZED_SECONDS if conn.was_oversized else _LINGER_SECONDS)
        self._lingering[conn] = None
        if len(self._lingering) > _MAX_LINGERING:
            self._stop_lingering(next(iter(self._lingering)))

    def _discard_input(self, conn: BufferedConnection, _sock: Any) -> None:
        if _receive(conn.sock) == b"":
            self._stop_lingering(conn)

    def _stop_lingering(self, conn: BufferedConnection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        util.close(conn.sock)

    def _await_request(self, conn: BufferedConnection) -> None:
        conn.sock.setblocking(False)
        conn.deadline = time.monotonic() + HEADER_TIMEOUT_SECONDS
        self._buffering[conn] = None
        self.poller.register(conn.sock, 1, partial(self._read_request, conn))
        if conn.request.received:
            self._process_buffer(conn)

    def _read_request(self, conn: BufferedConnection, _sock: Any) -> None:
        data = _receive(conn.sock)
        if data is None:
            return
        if not data:
            self._stop_buffering(conn)
            self.nr_conns -= 1
            conn.close()
            return
        conn.request.received += data
        self._process_buffer(conn)

    def _process_buffer(self, conn: BufferedConnection) -> None:
        had_head = bool(conn.request.header)
        if size := conn.request.complete_size():
            self._stop_buffering(conn)
            conn.feed_parser(size)
            self.enqueue_req(conn)
        elif conn.request.header and not had_head:
            conn.deadline += conn.request.content_length / MIN_BYTES_PER_SECOND
            if conn.request.expects_continue:
                _try_send(conn.sock, _CONTINUE)

    def _time_out(self, conn: BufferedConnection) -> None:
        self._stop_buffering(conn)
        if conn.request.received:
            _try_send(conn.sock, _TIMED_OUT)
        self.nr_conns -= 1
        conn.close()

    def _stop_buffering(self, conn: BufferedConnection) -> None:
        del self._buffering[conn]
        self.poller.unregister(conn.sock)


def _receive(sock: socket.socket) -> bytes | None:
    """What is there: nothing when the caller hung up, None when nothing is there yet."""
    try:
        return sock.recv(65_536)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def _try_send(sock: socket.socket, words: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.send(words)
