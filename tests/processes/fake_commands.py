"""Child processes for the tests: `fake_commands.py ARGUMENT ...` acts like a `portal` command, or misbehaves.

Every process appends its id to SANDBOX_DIR/<name>.pids, so that a test can see which are alive.
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
    with (SANDBOX_DIR / f"{name}.pids").open("a") as file:
        file.write(f"{os.getpid()}\n")


def sleep_until_stopped(name: str) -> None:
    record_pid(name)
    while True:
        time.sleep(60)


def crash(name: str) -> None:
    record_pid(name)
    print(f"{name} cannot go on")
    sys.exit(3)


def finish(_name: str) -> None:
    print("one line")


def ignore_sigterm(name: str) -> None:
    """Ignores SIGTERM, and so does its child in another process group."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setpgrp()
        sleep_until_stopped(f"{name}-horse")
    sleep_until_stopped(name)


def rq_worker(name: str) -> None:
    """Like RQ, waits on SIGTERM for its work horse, which is in its own process group and finishes its job."""
    horse = os.fork()
    if horse == 0:
        os.setpgrp()
        record_pid(f"{name}-horse")
        while not (SANDBOX_DIR / "finish-job").exists():
            time.sleep(0.02)
        (SANDBOX_DIR / "job-done").touch()
        os._exit(0)

    def warm_shutdown(_signum: int, _frame: object) -> None:
        (SANDBOX_DIR / "asked-to-stop").touch()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(horse, 0)
        sys.exit(0)

    signal.signal(signal.SIGTERM, warm_shutdown)
    sleep_until_stopped(name)


class OkHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        return


def fake_web(name: str, arguments: list[str]) -> None:
    record_pid(name)
    (SANDBOX_DIR / f"{name}.arguments").write_text(" ".join(arguments))
    (SANDBOX_DIR / f"{name}.env").write_text("\n".join(f"{key}={value}" for key, value in os.environ.items()))
    port = int(arguments[arguments.index("--port") + 1])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), OkHandler).serve_forever()


def fake_upgrade() -> None:
    record_pid("upgrade")
    if (SANDBOX_DIR / "broken-database").exists():
        print("table accounts is broken")
        sys.exit(2)


def load_demo() -> None:
    record_pid("demo")
    print("admin@example.org  correct horse")


MISBEHAVIOURS = {
    "crash": crash,
    "finish": finish,
    "ignore_sigterm": ignore_sigterm,
    "rq_worker": rq_worker,
    "sleeper": sleep_until_stopped,
}


def main(arguments: list[str]) -> None:
    match arguments:
        case ["web" | "simulator" as name, *rest]:
            fake_web(name, rest)
        case ["worker", queue]:
            sleep_until_stopped(f"worker-{queue}")
        case ["db", "upgrade"]:
            fake_upgrade()
        case ["demo", "load"]:
            load_demo()
        case ["setup", "link"]:
            print("http://127.0.0.1/Setup/once")
        case [kind, name]:
            MISBEHAVIOURS[kind](name)
        case [name]:
            sleep_until_stopped(name)


if __name__ == "__main__":
    main(sys.argv[1:])
