"""Children for the tests: `stand_in.py WORD ...` behaves as one of the product's commands, or badly on purpose.

Every process writes its id to SANDBOX/<name>.pids, so that a test can see who lives.
"""

import contextlib
import http.server
import os
import signal
import sys
import time
from pathlib import Path

SANDBOX_DIR = Path(os.environ["SANDBOX_DIR"])


def record_pid(name: str) -> None:
    with (SANDBOX_DIR / f"{name}.pids").open("a") as noted:
        noted.write(f"{os.getpid()}\n")


def sleep_until_stopped(name: str) -> None:
    record_pid(name)
    while True:
        time.sleep(60)


def crash(name: str) -> None:
    record_pid(name)
    print(f"{name} cannot go on")
    sys.exit(3)


def ignore_sigterm(name: str) -> None:
    """Ignores SIGTERM, and has a child in another process group that ignores it too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setpgrp()
        sleep_until_stopped(f"{name}-horse")
    sleep_until_stopped(name)


def rq_worker(name: str) -> None:
    """As RQ's: on SIGTERM it waits for its horse, which is in its own process group and finishes its job."""
    horse = os.fork()
    if horse == 0:
        os.setpgrp()
        record_pid(f"{name}-horse")
        while not (SANDBOX_DIR / "finish-job").exists():
            time.sleep(0.02)
        (SANDBOX_DIR / "job-done").touch()
        os._exit(0)

    def warm_stop(_number: int, _frame: object) -> None:
        (SANDBOX_DIR / "asked-to-stop").touch()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(horse, 0)
        sys.exit(0)

    signal.signal(signal.SIGTERM, warm_stop)
    sleep_until_stopped(name)


class OkHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        return


def fake_web(name: str, words: list[str]) -> None:
    record_pid(name)
    (SANDBOX_DIR / f"{name}.words").write_text(" ".join(words))
    (SANDBOX_DIR / f"{name}.env").write_text("\n".join(f"{key}={value}" for key, value in os.environ.items()))
    port = int(words[words.index("--port") + 1])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), OkHandler).serve_forever()


def fake_upgrade() -> None:
    record_pid("fake_upgrade")
    if (SANDBOX_DIR / "broken-database").exists():
        print("table accounts is upside down")
        sys.exit(2)


def load_demo() -> None:
    record_pid("demo")
    print("admin@example.org  correct horse")


MISBEHAVIOURS = {"crash": crash, "ignore_sigterm": ignore_sigterm, "rq": rq_worker, "sleeper": sleep_until_stopped}


def main(words: list[str]) -> None:
    match words:
        case ["web" | "simulator" as name, *rest]:
            fake_web(name, rest)
        case ["rq_worker", queue]:
            sleep_until_stopped(f"worker-{queue}")
        case ["db", "fake_upgrade"]:
            fake_upgrade()
        case ["demo", "load"]:
            load_demo()
        case [kind, name]:
            MISBEHAVIOURS[kind](name)
        case [name]:
            sleep_until_stopped(name)


if __name__ == "__main__":
    main(sys.argv[1:])
