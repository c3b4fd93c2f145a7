"""A second writer: measures the longest wait for the write lock until it is told to stop."""

import json
import sqlite3
import sys
import time
from threading import Event, Thread

from benchmarks.process_group import wait_for_start

_PAUSE_SECONDS = 0.005
_RETRY_SECONDS = 0.001
"""Retries itself because SQLite's busy handler sleeps up to 100 ms between attempts, which would be measured too."""


def main() -> None:
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
    stop_requested, waits_ms = Event(), list[float]()
    wait_for_start()
    Thread(target=_wait_for_stop, args=(stop_requested,), daemon=True).start()
    while not stop_requested.is_set():
        waits_ms.append(_wait_ms(connection))
        time.sleep(_PAUSE_SECONDS)
    print(json.dumps({"longest_ms": max(waits_ms), "attempts": len(waits_ms)}), flush=True)


def _wait_for_stop(stop_requested: Event) -> None:
    sys.stdin.readline()
    stop_requested.set()


def _wait_ms(connection: sqlite3.Connection) -> float:
    started = time.perf_counter()
    while not _try_lock(connection):
        time.sleep(_RETRY_SECONDS)
    waited = time.perf_counter() - started
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
