"""All data of the simulator. Reads use memory only; every change is also written to the data file at once."""

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict

from simulator.email.email_parsing import Email, parse_email
from simulator.messages.message import Message, to_row
from simulator.storage.database import Database
from simulator.storage.request_log import LogEntry


class Store:
    def __init__(self, file: str) -> None:
        self._database = Database(file)
        self._clear()
        self._load()

    def _clear(self) -> None:
        self.messages: dict[str, Message] = {}  # by sid, oldest first
        self.by_handset: defaultdict[str, list[Message]] = defaultdict(list)
        self.request_log: dict[int, LogEntry] = {}  # by n, oldest first
        self.emails: list[Email] = []
        self.opt_outs: set[tuple[str, str]] = set()  # (sending number, handset)
        self.webhook_config: dict[tuple[str, str], str] = {}  # by (phone number or service sid, field)
        self.deactivated: dict[str, list[str]] = {}  # numbers by day
        self._etag_prefix = secrets.token_hex(4)  # because the change counter starts at 0 again after a restart
        self._changes = 0

    def _load(self) -> None:
        for row in self._database.rows("message"):
            self._index(Message(**row))
        self.request_log = {row["n"]: LogEntry(**row) for row in self._database.rows("request_log")}
        self.emails = [Email(**{**row, "recipients": tuple(row["recipients"])}) for row in self._database.rows("email")]
        self.opt_outs = set(self._database.execute("SELECT sending_number, handset FROM opt_out"))
        config = self._database.execute("SELECT owner, name, value FROM webhook_config")
        self.webhook_config = {(owner, name): value for owner, name, value in config}
        days = self._database.execute("SELECT day, numbers FROM deactivated")
        self.deactivated = {day: json.loads(numbers) for day, numbers in days}

    def close(self) -> None:
        self._database.close()

    def reset(self) -> None:
        self._database.delete_all()
        self._clear()

    @property
    def etag(self) -> str:
        """Changes whenever the content of a page does."""
        return f'"{self._etag_prefix}-{self._changes}"'

    # Request log

    def open_log_entry(self, entry: LogEntry) -> None:
        entry.n = next(reversed(self.request_log), 0) + 1
        self.request_log[entry.n] = entry

    def close_log_entry(self, entry: LogEntry) -> None:
        if self.request_log.get(entry.n) is entry:  # false for an entry from before a reset
            self._database.save_row("request_log", entry.n, asdict(entry))

    # Messages

    def accept(self, message: Message, entry: LogEntry) -> None:
        """Save the message before the API responds: from here on it counts as accepted."""
        if self.request_log.get(entry.n) is not entry:  # the simulator was reset during this request
            self.open_log_entry(entry)
        self._database.execute("BEGIN")
        self.add_message(message)
        self.close_log_entry(entry)
        self._database.execute("COMMIT")

    def add_message(self, message: Message) -> None:
        message.seq = len(self.messages) + 1
        self._index(message)
        self.save_message(message)

    def _index(self, message: Message) -> None:
        self.messages[message.sid] = message
        self.by_handset[message.handset].append(message)
        self._changes += 1

    def save_message(self, message: Message) -> None:
        if self.messages.get(message.sid) is message:  # false for a message from before a reset
            self._database.save_row("message", message.seq, to_row(message))
            self._changes += 1

    def listed_messages(self, account_sid: str, handset: str | None = None) -> Iterable[Message]:
        """The messages that the API lists for this account, newest first, optionally of one handset only."""
        messages = list(self.messages.values()) if handset is None else self.by_handset.get(handset, [])
        return (message for message in reversed(messages) if message.account_sid == account_sid and not message.deleted)

    # Opt-outs and webhook configuration

    def add_opt_out(self, sending_number: str, handset: str) -> None:
        self.opt_outs.add((sending_number, handset))
        self._database.execute("INSERT OR IGNORE INTO opt_out VALUES (?, ?)", sending_number, handset)
        self._changes += 1

    def remove_opt_out(self, sending_number: str, handset: str) -> None:
        self.opt_outs.discard((sending_number, handset))
        self._database.execute("DELETE FROM opt_out WHERE (sending_number, handset) = (?, ?)", sending_number, handset)
        self._changes += 1

    def set_webhook_config(self, owner: str, name: str, value: str) -> None:
        self.webhook_config[owner, name] = value
        self._database.execute("INSERT OR REPLACE INTO webhook_config VALUES (?, ?, ?)", owner, name, value)

    # Deactivated numbers

    def set_deactivated(self, day: str, numbers: list[str]) -> None:
        self.deactivated[day] = numbers
        self._database.execute("INSERT OR REPLACE INTO deactivated VALUES (?, ?)", day, json.dumps(numbers))

    # Email

    def add_email(self, at_ms: int, sender: str, recipients: list[str], raw: bytes) -> None:
        email = parse_email(len(self.emails) + 1, at_ms, sender, recipients, raw)
        self.emails.append(email)
        self._database.execute("INSERT INTO email VALUES (?, ?, ?)", email.id, json.dumps(asdict(email)), raw)
        self._changes += 1

    def raw_email(self, email_id: int) -> bytes:
        return bytes(self._database.execute("SELECT raw FROM email WHERE id = ?", email_id).fetchone()[0])
