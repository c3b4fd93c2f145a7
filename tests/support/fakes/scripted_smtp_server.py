"""A mail server that is told line by line what to answer, and that keeps every line it was sent."""

import contextlib
import socketserver
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.fakes.stub_servers import serving_in_thread

ReplyFunction = Callable[[str, int], str | None]
"""From a command and how many mails the connection took to an answer; None hangs up."""


@dataclass
class SmtpTranscript:
    """`connections`: the lines of each, in order. `mails`: what came after DATA, dots as they were sent."""

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
    """A server that takes everything and offers nothing."""
    verb = line.split(" ")[0].upper()
    return {"": "220 here", "DATA": "354 go on", ".": "250 taken"}.get(verb, "250 OK")


@contextlib.contextmanager
def scripted_smtp_server(answers: ReplyFunction = accept_everything) -> Iterator[SmtpTranscript]:
    """`answers` is asked for the greeting (an empty line), each command, and the end of each mail (a dot)."""
    talk = SmtpTranscript()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines: list[str] = []
            talk.connections.append(lines)
            mails, line = 0, ""
            with contextlib.suppress(OSError):
                while (answer := answers(line, mails)) is not None:
                    self.wfile.write(f"{answer}\r\n".encode())
                    mails += line == "." and answer.startswith("2")
                    if line == "DATA" and answer.startswith("354"):
                        talk.mails.append(self._content())
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
    talk.port = server.server_address[1]
    with serving_in_thread(server):
        yield talk
