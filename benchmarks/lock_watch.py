"""Somebody else who wants to write: how long the write lock is to be waited for at most, until told to stop."""

import json
import sqlite3
import sys
import time
from threading import Event, Thread

from benchmarks.process_group import wait_for_start

_PAUSE_SECONDS = 0.005
_RETRY_SECONDS = 0.001
"""SQLite's own waiting sleeps up to 100 ms between tries, which would be measured along."""


def main() -> None:
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
    stopped, waits_ms = Event(), list[float]()
    wait_for_start()
    Thread(target=_wait_for_stop, args=(stopped,), daemon=True).start()
    while not stopped.is_set():
        waits_ms.append(_wait_ms(connection))
        time.sleep(_PAUSE_SECONDS)
    print(json.dumps({"longest_ms": max(waits_ms), "tries": len(waits_ms)}), flush=True)


def _wait_for_stop(stopped: Event) -> None:
    sys.stdin.readline()
    stopped.set()


def _wait_ms(connection: sqlite3.Connection) -> float:
    began = time.perf_counter()
    while not _try_lock(connection):
        time.sleep(_RETRY_SECONDS)
    waited = time.perf_counter() - began
    connection.execute("ROLLBACK")
    return 1000 * waited


def _try_lock(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


if __name__ == "__main__":
    main()
