"""Refusals that nobody can explain, of several people in a row: the fault is not theirs, so the sending number stops.

A code that is new, or an answer that all is forbidden, may mean the recipient or the account. Where others get their
texts meanwhile it is the recipient, or the text; where it is everybody, it is us.
"""

import hashlib

PAUSES_AFTER = 3
"""So many different recipients in a row."""
TRIES = 3
"""So often a text is tried while others pass; then the fault is its own."""
_WAITS_MS = (30_000, 300_000, 1_800_000, 3_600_000)
GIVES_UP_AFTER_MS = 86_400_000


def joined_by(row: str, recipient: str) -> str:
    """The row with one more recipient, each once, told apart by what tells nobody the number."""
    return row if has(row, recipient) or len(row.split()) >= PAUSES_AFTER else f"{row} {_mark(recipient)}".strip()


def has(row: str, recipient: str) -> bool:
    return _mark(recipient) in row.split()


def are_too_many(*rows: str) -> bool:
    """Of all sending numbers from which nothing has passed since."""
    return len({mark for row in rows for mark in row.split()}) >= PAUSES_AFTER


def wait_ms(tries: int) -> int:
    return _WAITS_MS[min(max(tries, 1), len(_WAITS_MS)) - 1]


def is_its_own_fault(tries: int, others_passed: bool) -> bool:
    return tries >= TRIES and others_passed


def _mark(recipient: str) -> str:
    return hashlib.sha256(recipient.encode()).hexdigest()[:16]
