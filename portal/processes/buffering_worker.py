"""A gunicorn worker that buffers each request completely before a thread handles it.

gunicorn's threads read from clients themselves, so a few clients that never finish their requests would block them
all. Here the main loop reads without blocking, and a thread only gets complete requests.
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
"""A body gets the header's time, and a second more for each 4,000 bytes."""
MAX_BODY_BYTES = 1024 * 1024
"""The app refuses most larger bodies by their header; an administrator's upload may be larger, read by a thread."""
_MAX_HEADER_BYTES, _MAX_CHUNK_LINE_BYTES = 64 * 1024, 8 * 1024
_LINGER_SECONDS, _LINGER_OVERSIZED_SECONDS = 2.0, 10.0
"""How long to discard input before closing a connection; otherwise the client may lose the response."""
_MAX_BUFFERING, _MAX_LINGERING, _MAX_BUFFERED_BYTES = 600, 200, 64 * 1024 * 1024
_SCAN_INTERVAL_SECONDS = 0.5
_STOP_GRACE_SECONDS = 2.0
_SOCKET_TIMEOUT_SECONDS = 30
"""For threads, if a client does not read the response or the request only seemed complete."""
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_ERROR_RESPONSE = """HTTP/1.1 {status} {reason}\r
Connection: close\r
Content-Type: text/plain\r
Content-Length: {length}\r
Cache-Control: no-store\r
X-Content-Type-Options: nosniff\r
Referrer-Policy: same-origin\r
Cross-Origin-Resource-Policy: same-origin\r
Content-Security-Policy: default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; \
frame-ancestors 'none'\r
\r
{reason}"""


def _write_error(sock: socket.socket, status: int, reason: str, _message: str) -> None:
    """Replaces gunicorn's error page, which lacks the security headers and repeats the input."""
    response = _ERROR_RESPONSE.format(status=status, reason=reason, length=len(reason))
    util.write_nonblock(sock, response.encode("latin1"))


util.write_error = _write_error


class RequestBuffer:
    """The bytes of a request as they arrive. Scanning takes linear time, however small the pieces are."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._reset()

    def _reset(self) -> None:
        self._search_start = self._chunk_offset = 0
        self.header = b""
        self.content_length = 0
        """From the header; 0 if it is missing."""
        self._is_chunked, self._is_well_formed = False, True

    def complete_size(self) -> int:
        """Size of the first request in bytes; 0 while it is incomplete. gunicorn rejects malformed requests."""
        if not self.header and not self._find_header():
            return len(self.received) if len(self.received) > _MAX_HEADER_BYTES else 0
        if self._is_chunked:
            return self._chunked_size()
        if self.is_too_large or not self._is_well_formed:
            return len(self.received)
        size = len(self.header) + self.content_length
        return size if len(self.received) >= size else 0

    @property
    def is_too_large(self) -> bool:
        chunked_bytes = len(self.received) - len(self.header) if self._is_chunked else 0
        return max(self.content_length, chunked_bytes) > MAX_BODY_BYTES

    @property
    def expects_continue(self) -> bool:
        return bool(re.search(rb"\r\nexpect:[ \t]*100-continue", self.header, re.IGNORECASE))

    def take(self, size: int) -> bytes:
        """Remove and return the first request; the rest belongs to the next one.

        A request that is too large is returned as far as it has arrived, and closes the connection; the thread reads
        the rest of its body from the client.
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
        end = self.received.find(b"\r\n\r\n", max(0, self._search_start - 3))
        self._search_start = len(self.received)
        if end < 0:
            return False
        self.header = bytes(self.received[: end + 4])
        self._parse_header()
        return True

    def _parse_header(self) -> None:
        self._chunk_offset = len(self.header)
        self._is_chunked = bool(re.search(rb"\r\ntransfer-encoding:[^\r\n]*chunked", self.header, re.IGNORECASE))
        values = re.findall(rb"\r\ncontent-length[ \t]*:[ \t]*([^\r\n]*)", self.header, re.IGNORECASE)
        lengths = {length.strip() for length in values}
        self._is_well_formed = len(lengths) < 2 and all(length.isdigit() and len(length) <= 18 for length in lengths)
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
    def __init__(self, worker: "BufferingWorker", sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(worker.cfg, sock, client, server)
        self._worker = worker
        self.request = RequestBuffer()
        self.deadline = 0.0
        self.was_oversized = False

    def feed_parser(self, size: int) -> None:
        """Pass `size` bytes to gunicorn's parser, which then does not have to wait."""
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
        self.cfg.set("sendfile", False)  # it would wait forever for a client that does not read
        self._buffering: dict[BufferedConnection, None] = {}
        """Oldest first."""
        self._lingering: dict[BufferedConnection, None] = {}
        self._last_scan_at = 0.0

    def accept(self, listener: Any) -> None:
        try:
            sock, client = listener.accept()
        except OSError:
            return  # the client is gone, or another process accepted it
        self.nr_conns += 1
        timeout = struct.pack("ll", _SOCKET_TIMEOUT_SECONDS, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, timeout)
        self._await_request(BufferedConnection(self, sock, client, listener.getsockname()))

    def on_client_socket_readable(self, conn: BufferedConnection, client: Any) -> None:
        """A keep-alive connection has its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def finish_request(self, conn: BufferedConnection, future: Any) -> None:
        super().finish_request(conn, future)
        if conn.request.received and conn in self.keepalived_conns:
            self.on_client_socket_readable(conn, conn.sock)

    def murder_pending(self) -> None:
        """Called in each iteration of the loop: ends connections that take too long, and the oldest of too many."""
        now = time.monotonic()
        if now < self._last_scan_at + _SCAN_INTERVAL_SECONDS:
            return
        self._last_scan_at = now
        for conn in [conn for conn in self._lingering if conn.deadline <= now]:
            self._stop_lingering(conn)
        reduction = 0.0 if self.alive else HEADER_TIMEOUT_SECONDS - _STOP_GRACE_SECONDS
        for conn in [conn for conn in self._buffering if conn.deadline - reduction <= now]:
            self._time_out(conn)
        buffered_bytes = sum(len(conn.request.received) for conn in self._buffering)
        while self._buffering and (len(self._buffering) > _MAX_BUFFERING or buffered_bytes > _MAX_BUFFERED_BYTES):
            oldest = next(iter(self._buffering))
            buffered_bytes -= len(oldest.request.received)
            self._time_out(oldest)

    def linger(self, conn: BufferedConnection) -> None:
        """Shut down our side, and discard what the client still sends, without blocking."""
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
            self._drop(conn)
            return
        conn.request.received += data
        self._process_buffer(conn)

    def _process_buffer(self, conn: BufferedConnection) -> None:
        had_header = bool(conn.request.header)
        if size := conn.request.complete_size():
            self._stop_buffering(conn)
            conn.feed_parser(size)
            self.enqueue_req(conn)
        elif conn.request.header and not had_header:
            conn.deadline += conn.request.content_length / MIN_BYTES_PER_SECOND
            if conn.request.expects_continue:
                _try_send(conn.sock, _CONTINUE)

    def _time_out(self, conn: BufferedConnection) -> None:
        if conn.request.received:
            _try_send(conn.sock, _TIMED_OUT)
        self._drop(conn)

    def _drop(self, conn: BufferedConnection) -> None:
        self._stop_buffering(conn)
        self.nr_conns -= 1
        conn.close()

    def _stop_buffering(self, conn: BufferedConnection) -> None:
        del self._buffering[conn]
        self.poller.unregister(conn.sock)


def _receive(sock: socket.socket) -> bytes | None:
    """The available input: empty if the client hung up, None if there is none yet."""
    try:
        return sock.recv(65_536)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def _try_send(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.send(data)
