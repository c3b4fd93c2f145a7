"""A mail server with scripted replies that records every line it receives."""

import contextlib
import socketserver
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.fakes.stub_servers import serving_in_thread

ReplyFunction = Callable[[str, int], str | None]
"""Maps a command and the count of emails accepted on this connection to a reply; None hangs up."""


@dataclass
class SmtpTranscript:
    """`connections`: the lines of each connection. `mails`: the content after DATA, dot-stuffed as sent."""

    port: int = 0
    connections: list[list[str]] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [line for connection in self.connections for line in connection]


def accept_everything(line: str, _mails: int) -> str | None:
    """Accept everything, and offer no extension."""
    verb = line.split(" ")[0].upper()
    return {"": "220 ready", "DATA": "354 go on", ".": "250 accepted"}.get(verb, "250 OK")


@contextlib.contextmanager
def scripted_smtp_server(reply_to: ReplyFunction = accept_everything) -> Iterator[SmtpTranscript]:
    """`reply_to` is called for the greeting (an empty line), each command, and the end of each email (a dot)."""
    transcript = SmtpTranscript()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines: list[str] = []
            transcript.connections.append(lines)
            mails, line = 0, ""
            with contextlib.suppress(OSError):
                while (reply := reply_to(line, mails)) is not None:
                    self.wfile.write(f"{reply}\r\n".encode())
                    mails += line == "." and reply.startswith("2")
                    if line == "DATA" and reply.startswith("354"):
                        transcript.mails.append(self._content())
                        line = "."
                        continue
                    raw = self.rfile.readline()
                    if not raw:
                        return
                    line = raw.decode().rstrip("\r\n")
                    lines.append(line)

        def _content(self) -> bytes:
            return b"".join(iter(self.rfile.readline, b".\r\n"))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    server = Server(("127.0.0.1", 0), Handler)
    transcript.port = server.server_address[1]
    with serving_in_thread(server):
        yield transcript
