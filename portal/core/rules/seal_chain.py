"""The seals of the logs: each row has an HMAC-SHA-256 over the seal before it, its place and its content (ADR 63).

Whoever changes the database without the key can make no seal, so a row that was changed, inserted or removed is found.
"""

import hmac
from collections.abc import Iterable, Iterator

GENESIS_SEAL = "0" * 64
"""What the first row is sealed after."""
REMOVED = "removed"
"""In place of the content of a row that has expired."""


def row_seal(key: bytes, log: str, position: int, previous: str, content: str) -> str:
    return _mac(key, "row", log, position, previous, content)


def row_seals(key: bytes, log: str, after: tuple[int, str], contents: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The place and the seal of each row that follows `after`."""
    position, seal = after
    for content in contents:
        position += 1
        seal = row_seal(key, log, position, seal, content)
        yield position, seal


def amendment_seal(key: bytes, log: str, position: int, seal: str, content: str) -> str:
    """Shows that the portal changed or removed the row since it was sealed. `content` is the row as it is now."""
    return _mac(key, "amendment", log, position, seal, content)


def head_seal(key: bytes, log: str, position: int, seal: str) -> str:
    """Shows that the log ended there when the portal last wrote to it."""
    return _mac(key, "head", log, position, seal)


def is_seal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _mac(key: bytes, *parts: str | int) -> str:
    """Only the last part may contain line breaks, so that no two lists of parts give the same text."""
    return hmac.digest(key, "\n".join(map(str, parts)).encode(), "sha256").hex()
