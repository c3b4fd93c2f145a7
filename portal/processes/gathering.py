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

HEAD_SECONDS = 20.0
LEAST_BYTES_A_SECOND = 4_000
"""A body has as long as its head and a second more for each so many bytes."""
LARGEST_BODY_BYTES = 1024 * 1024
"""The app refuses what is larger from its head alone; but an administrator's file may be, and a thread reads that."""
_LONGEST_HEAD_BYTES, _LONGEST_CHUNK_LINE_BYTES = 64 * 1024, 8 * 1024
_LINGER_SECONDS, _LINGER_LARGE_SECONDS = 2.0, 10.0
"""How long what still comes in is thrown away before a connection is closed: else the caller would lose the answer."""
_MOST_GATHERING, _MOST_LINGERING, _MOST_BYTES = 600, 200, 64 * 1024 * 1024
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 2.0
_FENCE_SECONDS = 30
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


class Request:
    """The bytes of a request as they come in. Each is looked at a few times at most, however small the pieces are."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._begin()

    def _begin(self) -> None:
        self._searched = self._chunk_at = 0
        self.head = b""
        self.body_bytes = 0
        """As its head says; 0 where it does not."""
        self._is_chunked, self._makes_sense = False, True

    def size(self) -> int:
        """How many bytes make up the first request; 0 while it is not whole. The server refuses what makes no sense."""
        if not self.head and not self._find_head():
            return len(self.received) if len(self.received) > _LONGEST_HEAD_BYTES else 0
        if self._is_chunked:
            return self._end_of_chunks()
        if self.is_too_large or not self._makes_sense:
            return len(self.received)
        whole = len(self.head) + self.body_bytes
        return whole if len(self.received) >= whole else 0

    @property
    def is_too_large(self) -> bool:
        chunked_bytes = len(self.received) - len(self.head) if self._is_chunked else 0
        return max(self.body_bytes, chunked_bytes) > LARGEST_BODY_BYTES

    @property
    def waits_for_us(self) -> bool:
        return bool(re.search(rb"\r\nexpect:[ \t]*100-continue", self.head, re.IGNORECASE))

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
        self._begin()
        return taken

    def _find_head(self) -> bool:
        at = self.received.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self.received)
        if at < 0:
            return False
        self.head = bytes(self.received[: at + 4])
        self._read_head()
        return True

    def _read_head(self) -> None:
        self._chunk_at = len(self.head)
        self._is_chunked = bool(re.search(rb"\r\ntransfer-encoding:[^\r\n]*chunked", self.head, re.IGNORECASE))
        found = re.findall(rb"\r\ncontent-length[ \t]*:[ \t]*([^\r\n]*)", self.head, re.IGNORECASE)
        lengths = {length.strip() for length in found}
        self._makes_sense = len(lengths) < 2 and all(each.isdigit() and len(each) <= 18 for each in lengths)
        self.body_bytes = int(lengths.pop()) if lengths and self._makes_sense else 0

    def _end_of_chunks(self) -> int:
        received = self.received
        while (line_end := self._end_of_chunk_line()) >= 0:
            try:
                length = int(received[self._chunk_at : line_end].partition(b";")[0], 16)
            except ValueError:
                return len(received)
            if length <= 0:
                end = received.find(b"\r\n\r\n", line_end)
                too_long = len(received) - line_end > _LONGEST_HEAD_BYTES
                return end + 4 if end >= 0 else len(received) if too_long else 0
            if line_end + length + 4 > len(received):
                break
            self._chunk_at = line_end + length + 4
        return len(received) if len(received) - len(self.head) > LARGEST_BODY_BYTES + _LONGEST_HEAD_BYTES else 0

    def _end_of_chunk_line(self) -> int:
        return self.received.find(b"\r\n", self._chunk_at, self._chunk_at + _LONGEST_CHUNK_LINE_BYTES)


class Connection(TConn):  # type: ignore[misc]
    def __init__(self, worker: "GatheringWorker", sock: socket.socket, caller: Any, server: Any) -> None:
        super().__init__(worker.cfg, sock, caller, server)
        self._worker = worker
        self.request = Request()
        self.deadline = 0.0
        self.was_large = False

    def give(self, size: int) -> None:
        """So many bytes of what came in to the server's own parser, which then waits for nothing."""
        self.was_large = self.request.is_too_large
        self.init()
        self.parser.unreader.unread(self.request.take(size))
        self.data_ready = True

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self._worker.linger(self)
        else:
            util.close(self.sock)


class GatheringWorker(ThreadWorker):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cfg.set("sendfile", False)  # it waits without end for a caller that reads nothing
        self._gathering: dict[Connection, None] = {}
        """The longest first."""
        self._lingering: dict[Connection, None] = {}
        self._looked_at = 0.0

    def accept(self, listener: Any) -> None:
        try:
            sock, caller = listener.accept()
        except OSError:
            return  # the caller is gone, or another process took it
        self.nr_conns += 1
        fence = struct.pack("ll", _FENCE_SECONDS, 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, fence)
        self._await_request(Connection(self, sock, caller, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """A connection that was kept has its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def finish_request(self, conn: Connection, future: Any) -> None:
        super().finish_request(conn, future)
        if conn.request.received and conn in self.keepalived_conns:
            self.on_client_socket_readable(conn, conn.sock)

    def murder_pending(self) -> None:
        """Called in each turn of the loop: ends what takes too long, and the longest of too many."""
        now = time.monotonic()
        if now < self._looked_at + _LOOK_SECONDS:
            return
        self._looked_at = now
        for conn in [each for each in self._lingering if each.deadline <= now]:
            self._stop_lingering(conn)
        stopping = 0.0 if self.alive else HEAD_SECONDS - _STOP_SECONDS
        for conn in [each for each in self._gathering if each.deadline - stopping <= now]:
            self._time_out(conn)
        held = sum(len(conn.request.received) for conn in self._gathering)
        while self._gathering and (len(self._gathering) > _MOST_GATHERING or held > _MOST_BYTES):
            longest = next(iter(self._gathering))
            held -= len(longest.request.received)
            self._time_out(longest)

    def linger(self, conn: Connection) -> None:
        """Our side is ended; the caller may still be sending. Nobody waits for it."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, 1, partial(self._drain, conn))
        except (OSError, ValueError, KeyError):
            util.close(conn.sock)
            return
        conn.deadline = time.monotonic() + (_LINGER_LARGE_SECONDS if conn.was_large else _LINGER_SECONDS)
        self._lingering[conn] = None
        if len(self._lingering) > _MOST_LINGERING:
            self._stop_lingering(next(iter(self._lingering)))

    def _drain(self, conn: Connection, _sock: Any) -> None:
        if _receive(conn.sock) == b"":
            self._stop_lingering(conn)

    def _stop_lingering(self, conn: Connection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        util.close(conn.sock)

    def _await_request(self, conn: Connection) -> None:
        conn.sock.setblocking(False)
        conn.deadline = time.monotonic() + HEAD_SECONDS
        self._gathering[conn] = None
        self.poller.register(conn.sock, 1, partial(self._gather, conn))
        if conn.request.received:
            self._go_on(conn)

    def _gather(self, conn: Connection, _sock: Any) -> None:
        data = _receive(conn.sock)
        if data is None:
            return
        if not data:
            self._let_go(conn)
            self.nr_conns -= 1
            conn.close()
            return
        conn.request.received += data
        self._go_on(conn)

    def _go_on(self, conn: Connection) -> None:
        had_head = bool(conn.request.head)
        if size := conn.request.size():
            self._let_go(conn)
            conn.give(size)
            self.enqueue_req(conn)
        elif conn.request.head and not had_head:
            conn.deadline += conn.request.body_bytes / LEAST_BYTES_A_SECOND
            if conn.request.waits_for_us:
                _say(conn.sock, _CONTINUE)

    def _time_out(self, conn: Connection) -> None:
        self._let_go(conn)
        if conn.request.received:
            _say(conn.sock, _TIMED_OUT)
        self.nr_conns -= 1
        conn.close()

    def _let_go(self, conn: Connection) -> None:
        del self._gathering[conn]
        self.poller.unregister(conn.sock)


def _receive(sock: socket.socket) -> bytes | None:
    """What is there: nothing when the caller hung up, None when nothing is there yet."""
    try:
        return sock.recv(65_536)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def _say(sock: socket.socket, words: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.send(words)
