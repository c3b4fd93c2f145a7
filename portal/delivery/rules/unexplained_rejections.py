"""Unexplained rejections of several recipients in a row are not the recipients’ fault: pause the sending number.

A new code, or a plain “forbidden”, may concern the recipient or the account. If other texts get through, it is the
recipient or the text; if none do, it is the account.
"""

import hashlib

PAUSE_THRESHOLD = 3
"""Different recipients in a row."""
MAX_TRIES = 3
"""Attempts at one text while others get through; then the text itself is at fault."""
BACKOFF_SECONDS = (30, 300, 1_800, 3_600)
GIVE_UP_AFTER_MS = 86_400_000


def add_recipient(hashes: str, recipient: str) -> str:
    """Add the recipient’s hash unless it is there; the phone number itself is not stored."""
    if contains_recipient(hashes, recipient) or len(hashes.split()) >= PAUSE_THRESHOLD:
        return hashes
    return f"{hashes} {_recipient_hash(recipient)}".strip()


def contains_recipient(hashes: str, recipient: str) -> bool:
    return _recipient_hash(recipient) in hashes.split()


def is_pause_threshold_reached(*lists: str) -> bool:
    """Count over all sending numbers from which no text has got through since."""
    return len({item for hashes in lists for item in hashes.split()}) >= PAUSE_THRESHOLD


def _recipient_hash(recipient: str) -> str:
    return hashlib.sha256(recipient.encode()).hexdigest()[:16]
