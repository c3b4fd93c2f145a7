"""The one SQLite file. Every write is committed at once, so a killed simulator has forgotten nothing it accepted.

`synchronous=OFF` leaves flushing to the operating system: safe against a killed process, not against a power cut.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (sid TEXT PRIMARY KEY, seq INTEGER NOT NULL, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS call (n INTEGER PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS block (sender TEXT, recipient TEXT, PRIMARY KEY (sender, recipient)) STRICT;
CREATE TABLE IF NOT EXISTS number (number TEXT PRIMARY KEY, sms_url TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS wiring (owner TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (owner, name)) STRICT;
CREATE TABLE IF NOT EXISTS mail (id INTEGER PRIMARY KEY, row TEXT NOT NULL, raw BLOB NOT NULL) STRICT;
"""
_TABLES = ("message", "call", "block", "number", "wiring", "mail")


class Database:
    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def forget_everything(self) -> None:
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 (our own constant names)

    def put_message(self, sid: str, seq: int, row: dict[str, Any]) -> None:
        self._connection.execute("INSERT OR REPLACE INTO message VALUES (?, ?, ?)", (sid, seq, json.dumps(row)))

    def put_call(self, n: int, row: dict[str, Any]) -> None:
        self._connection.execute("INSERT OR REPLACE INTO call VALUES (?, ?)", (n, json.dumps(row)))

    def put_accepted(self, sid: str, seq: int, message: dict[str, Any], n: int, call: dict[str, Any]) -> None:
        """The message and its line in the log, or neither."""
        self._connection.execute("BEGIN")
        self.put_message(sid, seq, message)
        self.put_call(n, call)
        self._connection.execute("COMMIT")

    def put_block(self, sender: str, recipient: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO block VALUES (?, ?)", (sender, recipient))

    def drop_block(self, sender: str, recipient: str) -> None:
        self._connection.execute("DELETE FROM block WHERE sender = ? AND recipient = ?", (sender, recipient))

    def put_sms_url(self, number: str, sms_url: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO number VALUES (?, ?)", (number, sms_url))

    def put_wire(self, owner: str, name: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO wiring VALUES (?, ?, ?)", (owner, name, value))

    def put_mail(self, mail_id: int, row: dict[str, Any], raw: bytes) -> None:
        self._connection.execute("INSERT INTO mail VALUES (?, ?, ?)", (mail_id, json.dumps(row), raw))

    def raw_mail(self, mail_id: int) -> bytes | None:
        found = self._connection.execute("SELECT raw FROM mail WHERE id = ?", (mail_id,)).fetchone()
        return None if found is None else bytes(found[0])

    def messages(self) -> Iterator[dict[str, Any]]:
        return self._rows("SELECT row FROM message ORDER BY seq")

    def calls(self) -> Iterator[dict[str, Any]]:
        return self._rows("SELECT row FROM call ORDER BY n")

    def mails(self) -> Iterator[dict[str, Any]]:
        return self._rows("SELECT row FROM mail ORDER BY id")

    def blocks(self) -> Iterable[tuple[str, str]]:
        return self._connection.execute("SELECT sender, recipient FROM block").fetchall()

    def sms_urls(self) -> Iterable[tuple[str, str]]:
        return self._connection.execute("SELECT number, sms_url FROM number").fetchall()

    def wiring(self) -> Iterable[tuple[str, str, str]]:
        return self._connection.execute("SELECT owner, name, value FROM wiring").fetchall()

    def _rows(self, query: str) -> Iterator[dict[str, Any]]:
        for (row,) in self._connection.execute(query):
            yield json.loads(row)
