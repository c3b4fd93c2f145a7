"""The MACs of the logs: each row has an HMAC-SHA-256 over the MAC before it, its place and its content (ADR 63).

Whoever changes the database without the key can make no MAC, so a row that was changed, inserted or removed is found.
"""

import hmac
from collections.abc import Iterable, Iterator

GENESIS_MAC = "0" * 64
"""What the first row follows."""
REMOVED = "removed"
"""In place of the content of a row that has expired."""


def row_mac(key: bytes, log: str, position: int, previous: str, content: str) -> str:
    return _mac(key, "row", log, position, previous, content)


def row_macs(key: bytes, log: str, after: tuple[int, str], contents: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The place and the MAC of each row that follows `after`."""
    position, mac = after
    for content in contents:
        position += 1
        mac = row_mac(key, log, position, mac, content)
        yield position, mac


def amendment_mac(key: bytes, log: str, position: int, mac: str, content: str) -> str:
    """Shows that the portal changed or removed the row since it got its MAC. `content` is the row as it is now."""
    return _mac(key, "amendment", log, position, mac, content)


def head_mac(key: bytes, log: str, position: int, mac: str) -> str:
    """Shows that the log ended there when the portal last wrote to it."""
    return _mac(key, "head", log, position, mac)


def is_mac(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _mac(key: bytes, *parts: str | int) -> str:
    """Only the last part may contain line breaks, so that no two lists of parts give the same text."""
    return hmac.digest(key, "\n".join(map(str, parts)).encode(), "sha256").hex()
