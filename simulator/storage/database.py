"""The SQLite data file. Every write commits at once, so a killed simulator loses nothing that it accepted.

`synchronous=OFF` leaves flushing to the operating system. Data survives a killed process, but not a power failure.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from simulator.storage.schema import TABLES, create_tables


class Database:
    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        create_tables(self._connection)

    def close(self) -> None:
        self._connection.close()

    def delete_all(self) -> None:
        for table in TABLES:
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 (constant names)

    def save_message(self, sid: str, seq: int, row: dict[str, Any]) -> None:
        self._connection.execute("INSERT OR REPLACE INTO message VALUES (?, ?, ?)", (sid, seq, json.dumps(row)))

    def save_log_entry(self, n: int, row: dict[str, Any]) -> None:
        self._connection.execute("INSERT OR REPLACE INTO request_log VALUES (?, ?)", (n, json.dumps(row)))

    def save_accepted(self, sid: str, seq: int, message: dict[str, Any], n: int, log_entry: dict[str, Any]) -> None:
        """Save the message and its log entry in one transaction."""
        self._connection.execute("BEGIN")
        self.save_message(sid, seq, message)
        self.save_log_entry(n, log_entry)
        self._connection.execute("COMMIT")

    def save_opt_out(self, sending_number: str, handset: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO opt_out VALUES (?, ?)", (sending_number, handset))

    def delete_opt_out(self, sending_number: str, handset: str) -> None:
        self._connection.execute(
            "DELETE FROM opt_out WHERE sending_number = ? AND handset = ?", (sending_number, handset)
        )

    def save_sms_url(self, phone_number: str, url: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO sms_url VALUES (?, ?)", (phone_number, url))

    def save_webhook_config(self, owner: str, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO webhook_config VALUES (?, ?, ?)", (owner, name, value))

    def save_email(self, email_id: int, row: dict[str, Any], raw: bytes) -> None:
        self._connection.execute("INSERT INTO email VALUES (?, ?, ?)", (email_id, json.dumps(row), raw))

    def raw_email(self, email_id: int) -> bytes | None:
        row = self._connection.execute("SELECT raw FROM email WHERE id = ?", (email_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def messages(self) -> Iterator[dict[str, Any]]:
        return self._rows("SELECT row FROM message ORDER BY seq")

    def log_entries(self) -> Iterator[dict[str, Any]]:
        return self._rows("SELECT row FROM request_log ORDER BY n")

    def emails(self) -> Iterator[dict[str, Any]]:
        return self._rows("SELECT row FROM email ORDER BY id")

    def opt_outs(self) -> Iterable[tuple[str, str]]:
        return self._connection.execute("SELECT sending_number, handset FROM opt_out").fetchall()

    def sms_urls(self) -> Iterable[tuple[str, str]]:
        return self._connection.execute("SELECT phone_number, url FROM sms_url").fetchall()

    def webhook_config(self) -> Iterable[tuple[str, str, str]]:
        return self._connection.execute("SELECT owner, name, value FROM webhook_config").fetchall()

    def _rows(self, query: str) -> Iterator[dict[str, Any]]:
        for (row,) in self._connection.execute(query):
            yield json.loads(row)
