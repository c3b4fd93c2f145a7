"""Refusals that nobody can explain, of several people in a row: the fault is not theirs, so the sending number stops.

A code that is new, or an answer that all is forbidden, may mean the recipient or the account. Where others get their
texts meanwhile it is the recipient, or the text; where it is everybody, it is us.
"""

import hashlib

PAUSE_THRESHOLD = 3
"""So many different recipients in a row."""
MAX_TRIES = 3
"""So often a text is tried while others pass; then the fault is its own."""
_BACKOFF_MS = (30_000, 300_000, 1_800_000, 3_600_000)
GIVE_UP_AFTER_MS = 86_400_000


def add_recipient(row: str, recipient: str) -> str:
    """The row with one more recipient, each once, told apart by what tells nobody the number."""
    return (
        row
        if contains_recipient(row, recipient) or len(row.split()) >= PAUSE_THRESHOLD
        else f"{row} {_recipient_hash(recipient)}".strip()
    )


def contains_recipient(row: str, recipient: str) -> bool:
    return _recipient_hash(recipient) in row.split()


def is_pause_threshold_reached(*rows: str) -> bool:
    """Of all sending numbers from which nothing has passed since."""
    return len({mark for row in rows for mark in row.split()}) >= PAUSE_THRESHOLD


def unrecognized_backoff_ms(tries: int) -> int:
    return _BACKOFF_MS[min(max(tries, 1), len(_BACKOFF_MS)) - 1]


def is_message_fault(tries: int, others_passed: bool) -> bool:
    return tries >= MAX_TRIES and others_passed


def _recipient_hash(recipient: str) -> str:
    return hashlib.sha256(recipient.encode()).hexdigest()[:16]
