"""Everything the simulator remembers: held in memory for speed, written to the database as it happens."""

import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict

from simulator.calls import Call
from simulator.database import Database
from simulator.mail import Mail, parse_mail
from simulator.message import Message, from_row, to_row


class Store:
    def __init__(self, file: str) -> None:
        self._database = Database(file)
        self._clear()
        self._load()

    def _clear(self) -> None:
        self.messages: dict[str, Message] = {}  # by sid, oldest first
        self.by_handset: defaultdict[str, list[Message]] = defaultdict(list)
        self.calls: dict[int, Call] = {}  # by n, oldest first
        self.mails: list[Mail] = []
        self.blocks: set[tuple[str, str]] = set()  # (our number, their number)
        self.sms_urls: dict[str, str] = {}
        self.wiring: dict[tuple[str, str], str] = {}  # (number or service, field): what the API was told
        self.version = secrets.token_hex(4)  # of what the pages show; the counter alone would repeat after a restart
        self._changes = 0

    def _load(self) -> None:
        for row in self._database.messages():
            self._remember(from_row(row))
        self.calls = {row["n"]: Call(**row) for row in self._database.calls()}
        self.mails = [Mail(**{**row, "recipients": tuple(row["recipients"])}) for row in self._database.mails()]
        self.blocks = set(self._database.blocks())
        self.sms_urls = dict(self._database.sms_urls())
        self.wiring = {(owner, name): value for owner, name, value in self._database.wiring()}

    def close(self) -> None:
        self._database.close()

    def forget_everything(self) -> None:
        self._database.forget_everything()
        self._clear()

    @property
    def etag(self) -> str:
        return f'"{self.version}-{self._changes}"'

    # Calls

    def open_call(self, call: Call) -> None:
        call.n = next(reversed(self.calls), 0) + 1
        self.calls[call.n] = call

    def close_call(self, call: Call) -> None:
        if self.calls.get(call.n) is call:  # not one from before a reset
            self._database.put_call(call.n, asdict(call))

    # Messages

    def accept(self, message: Message, call: Call) -> None:
        """Written before anyone is answered: this is the moment of acceptance."""
        if self.calls.get(call.n) is not call:  # everything was forgotten while this one was under way
            self.open_call(call)
        message.seq = len(self.messages) + 1
        self._remember(message)
        self._database.put_accepted(message.sid, message.seq, to_row(message), call.n, asdict(call))

    def add_message(self, message: Message) -> None:
        message.seq = len(self.messages) + 1
        self._remember(message)
        self.save_message(message)

    def _remember(self, message: Message) -> None:
        self.messages[message.sid] = message
        self.by_handset[message.handset].append(message)
        self._changes += 1

    def save_message(self, message: Message) -> None:
        if self.messages.get(message.sid) is message:  # not one from before a reset
            self._database.put_message(message.sid, message.seq, to_row(message))
            self._changes += 1

    def visible(self, account_sid: str, handset: str | None = None) -> Iterable[Message]:
        """What the API of this account lists, newest first; of one handset only, if it is given."""
        among = list(self.messages.values()) if handset is None else self.by_handset.get(handset, [])
        return (message for message in reversed(among) if message.account_sid == account_sid and not message.deleted)

    # Opt-outs and numbers

    def block(self, number: str, handset: str) -> None:
        self.blocks.add((number, handset))
        self._database.put_block(number, handset)
        self._changes += 1

    def unblock(self, number: str, handset: str) -> None:
        self.blocks.discard((number, handset))
        self._database.drop_block(number, handset)
        self._changes += 1

    def set_sms_url(self, number: str, sms_url: str) -> None:
        self.sms_urls[number] = sms_url
        self._database.put_sms_url(number, sms_url)

    def set_wire(self, owner: str, name: str, value: str) -> None:
        self.wiring[owner, name] = value
        self._database.put_wire(owner, name, value)

    # Mail

    def add_mail(self, at_ms: int, sender: str, recipients: list[str], raw: bytes) -> Mail:
        mail = parse_mail(len(self.mails) + 1, at_ms, sender, recipients, raw)
        self.mails.append(mail)
        self._database.put_mail(mail.id, asdict(mail), raw)
        self._changes += 1
        return mail

    def raw_mail(self, mail_id: int) -> bytes | None:
        return self._database.raw_mail(mail_id)
