"""Verify a log against its MACs, a page of rows at a time, so that it may have any length."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from portal.core.extensions import db
from portal.core.log_integrity import log_macs
from portal.core.log_integrity.log_keys import LogKey, key_ring
from portal.core.log_integrity.log_macs import LOGS, ProtectedLog
from portal.core.rules.integrity.mac_chain import GENESIS_MAC, REMOVED, amendment_mac, head_mac, is_mac, row_mac
from portal.core.translation import gettext as _

_PAGE_SIZE = 2_000


@dataclass(frozen=True)
class LogFault:
    """The first row that does not fit, and why; 0 if it cannot be told."""

    row_id: int
    reason: str


@dataclass(frozen=True)
class LogVerdict:
    """`position` counts the rows that ever got a MAC, and `mac` is that of the last.

    `waiting` rows were there before the key and are about to get MACs. What was recorded before `protected_since_ms`
    is protected as it was found.
    """

    log: str
    position: int
    mac: str
    waiting: int
    protected_since_ms: int | None
    fault: LogFault | None


def verify_log(name: str, now_ms: int, known: tuple[int, str] | None = None) -> LogVerdict:
    """`known` is an earlier end of the log, noted elsewhere: its count of rows and the MAC of the last."""
    log, walk = LOGS[name], _Walk(name, known)
    fault = walk.run(log)
    first_id, waiting = log_macs.count_unprotected(log)
    since_ms = walk.keys[0].accepts_earlier_until_ms if walk.keys else None
    is_awaited = since_ms is not None and now_ms < since_ms
    db.session.rollback()
    if fault is None and waiting and not is_awaited:
        fault = LogFault(first_id, _("it was inserted past the portal: it has no authentication code"))
    return LogVerdict(name, walk.position, walk.mac, waiting if is_awaited else 0, since_ms, fault)


class _Walk:
    """Where the chain has got to."""

    def __init__(self, name: str, known: tuple[int, str] | None) -> None:
        self._name, self._known = name, known
        self.position, self.mac, self._last_id, self._key_place = 0, GENESIS_MAC, 0, 0
        self.keys = key_ring().read()
        self._places = {key.id: place for place, key in enumerate(self.keys)}
        self._head = next((head for head in log_macs.stored_heads() if head.log == name), None)
        db.session.rollback()

    def run(self, log: ProtectedLog) -> LogFault | None:
        for row in self._rows(log):
            if reason := self._problem(row, log):
                return LogFault(row.row_id, reason)
            self.position, self.mac, self._last_id = row.position, row.mac, row.row_id
            if reason := self._other_end():
                return LogFault(row.row_id, reason)
        reason = self._end_problem()
        return LogFault(self._last_id, reason) if reason else None

    def _rows(self, log: ProtectedLog) -> Iterator[Any]:
        """Rows that are added meanwhile belong to the chain too."""
        while page := list(log_macs.protected_rows(log, self.position, _PAGE_SIZE)):
            db.session.rollback()
            yield from page

    def _problem(self, row: Any, log: ProtectedLog) -> str:
        if row.position != self.position + 1:
            return _("what came before it was removed")
        place = self._places.get(row.key_id)
        if place is None:
            return _("its key cannot be read with PORTAL_ENCRYPTION_KEY, or is missing")
        if place < self._key_place:
            return _("it was written with a key that had been replaced before")
        self._key_place = place
        return self._content_problem(row, self.keys[place], log)

    def _content_problem(self, row: Any, key: LogKey, log: ProtectedLog) -> str:
        stored = row[log_macs.MAC_COLUMN_COUNT :]
        is_there = stored[0] is not None
        content = log.content(stored) if is_there else REMOVED
        if row.amendment:
            expected = amendment_mac(key.secret, self._name, row.position, row.mac, content)
        else:
            expected = row_mac(key.secret, self._name, row.position, self.mac, content)
        if is_mac(row.amendment or row.mac, expected):
            return ""
        if not is_there:
            return _("it was removed")
        is_past_end = self._head is not None and row.position > self._head.position
        return _("it was inserted at the end") if is_past_end else _("it was changed after it was written")

    def _other_end(self) -> str:
        """Whether this row was the last once, and its MAC is not the one that was noted then."""
        if self._known and self.position == self._known[0] and self.mac != self._known[1]:
            return _("it was written anew after the end of the log was noted")
        if self._head and self.position == self._head.position and self.mac != self._head.mac:
            return _("the stored end of the log has another authentication code")
        return ""

    def _end_problem(self) -> str:
        if self._head is None:
            return _("the stored end of the log is missing") if self.keys or self._known else ""
        place = self._places.get(self._head.key_id)
        if place is None or place < self._key_place:
            return _("the stored end of the log was written with another key")
        mac = head_mac(self.keys[place].secret, self._name, self._head.position, self._head.mac)
        if not is_mac(self._head.head_mac, mac):
            return _("the stored end of the log was changed")
        if self.position < max(self._head.position, self._known[0] if self._known else 0):
            return _("what came after it was cut off")
        return ""
