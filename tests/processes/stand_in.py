"""Children for the tests: `stand_in.py WORD ...` behaves as one of the product's commands, or badly on purpose.

Every process writes its id to SCENE/<name>.pids, so that a test can see who lives.
"""

import contextlib
import http.server
import os
import signal
import sys
import time
from pathlib import Path

SCENE = Path(os.environ["SCENE"])


def note(name: str) -> None:
    with (SCENE / f"{name}.pids").open("a") as noted:
        noted.write(f"{os.getpid()}\n")


def sleep_until_stopped(name: str) -> None:
    note(name)
    while True:
        time.sleep(60)


def crash(name: str) -> None:
    note(name)
    print(f"{name} cannot go on")
    sys.exit(3)


def stubborn(name: str) -> None:
    """Ignores SIGTERM, and has a child in another process group that ignores it too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setpgrp()
        sleep_until_stopped(f"{name}-horse")
    sleep_until_stopped(name)


def worker(name: str) -> None:
    """As RQ's: on SIGTERM it waits for its horse, which is in its own process group and finishes its job."""
    horse = os.fork()
    if horse == 0:
        os.setpgrp()
        note(f"{name}-horse")
        while not (SCENE / "finish-job").exists():
            time.sleep(0.02)
        (SCENE / "job-done").touch()
        os._exit(0)

    def warm_stop(_number: int, _frame: object) -> None:
        (SCENE / "asked-to-stop").touch()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(horse, 0)
        sys.exit(0)

    signal.signal(signal.SIGTERM, warm_stop)
    sleep_until_stopped(name)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        return


def serve(name: str, words: list[str]) -> None:
    note(name)
    (SCENE / f"{name}.words").write_text(" ".join(words))
    (SCENE / f"{name}.env").write_text("\n".join(f"{key}={value}" for key, value in os.environ.items()))
    port = int(words[words.index("--port") + 1])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Page).serve_forever()


def upgrade() -> None:
    note("upgrade")
    if (SCENE / "broken-database").exists():
        print("table accounts is upside down")
        sys.exit(2)


def load_demo() -> None:
    note("demo")
    print("admin@example.org  correct horse")


ON_PURPOSE = {"crash": crash, "stubborn": stubborn, "rq": worker, "sleeper": sleep_until_stopped}


def main(words: list[str]) -> None:
    match words:
        case ["web" | "simulator" as name, *rest]:
            serve(name, rest)
        case ["worker", queue]:
            sleep_until_stopped(f"worker-{queue}")
        case ["db", "upgrade"]:
            upgrade()
        case ["demo", "load"]:
            load_demo()
        case [kind, name]:
            ON_PURPOSE[kind](name)
        case [name]:
            sleep_until_stopped(name)


if __name__ == "__main__":
    main(sys.argv[1:])
