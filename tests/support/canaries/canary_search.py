"""Looks for canaries in text and bytes, also encoded, and in everything that a database or Redis holds."""

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from redis import Redis
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

_LEAST_LENGTH = 12
"""The end of a secret may be shown, so that somebody recognises it."""


@dataclass
class CanarySearch:
    """`secrets` by what they are, and `numbers` in E.164. Keep what was found, by place."""

    secrets: Mapping[str, str]
    numbers: Iterable[str] = ()
    found: list[tuple[str, str]] = field(default_factory=list)

    def search_for_secrets(self, place: str, content: str | bytes) -> None:
        self._search(place, content, {name: _encodings(secret) for name, secret in self.secrets.items()})

    def search_for_everything(self, place: str, content: str | bytes) -> None:
        """Where phone numbers do not belong either."""
        self.search_for_secrets(place, content)
        self._search(place, content, {number: _notations(number) for number in self.numbers})

    def _search(self, place: str, content: str | bytes, canaries: Mapping[str, set[str]]) -> None:
        searched = content if isinstance(content, str) else content.decode("latin-1")
        self.found += [(place, name) for name, forms in canaries.items() if any(form in searched for form in forms)]


def _encodings(secret: str) -> set[str]:
    """Each offset in Base64 has its own letters, of which the ends depend on what is around."""
    forms = {secret, quote(secret, safe=""), secret[:_LEAST_LENGTH], secret.encode().hex()}
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret.encode()).decode()
        forms.add(encoded[4:-4])
    return {form for form in forms if len(form) >= _LEAST_LENGTH}


def _notations(number: str) -> set[str]:
    digits = number[-10:]
    return {digits, f"{digits[:3]}-{digits[3:6]}-{digits[6:]}", f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"}


def stored_values(connection: Connection) -> Iterator[tuple[str, str]]:
    """Each column of each row, with the name of its table and column."""
    for table in inspect(connection).get_table_names():
        for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings():
            yield from ((f"{table}.{name}", _as_text(value)) for name, value in row.items() if value is not None)


def redis_values(connection: "Redis") -> Iterator[tuple[str, str]]:
    """Each key with what it holds, unpacked if it is compressed."""
    for key in connection.scan_iter():
        yield key.decode(), _as_text(key) + "".join(map(_as_text, _values(connection, key)))


def _values(connection: "Redis", key: bytes) -> list[Any]:
    """By the type of the key."""
    kind = connection.type(key)
    if kind == b"hash":
        return [part for pair in connection.hgetall(key).items() for part in pair]
    if kind == b"list":
        return list(connection.lrange(key, 0, -1))
    if kind == b"stream":
        return [repr(connection.xrange(key))]
    if kind in (b"set", b"zset"):
        return list(connection.smembers(key) if kind == b"set" else connection.zrange(key, 0, -1))
    return [connection.get(key)]


def _as_text(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    with suppress(zlib.error):
        return zlib.decompress(value).decode("latin-1")
    return value.decode("latin-1")


def ciphertext_columns(values: Iterable[tuple[str, str]]) -> set[str]:
    """Where ciphertexts are stored, whether or not anybody said so."""
    return {column for column, value in values if re.match(r"v\d+\.[0-9a-f]{8}\.[A-Za-z0-9+/]{16}", value)}
