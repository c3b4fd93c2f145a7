"""The keys of the logs as this process can read them."""

import secrets
from dataclasses import dataclass
from typing import Protocol, cast

import structlog
from flask import current_app

from portal.core.extensions import db
from portal.core.log_integrity import log_macs
from portal.core.log_integrity.log_macs import LogKeyRow, log_key_name

CIPHER = "cipher of the log keys"
"""In `app.extensions`: encrypts them as secrets of the settings are (`settings.log_key_cipher`)."""
_RING = "log keys"
_KEY_BYTES = 32
_log = structlog.get_logger(__name__)


class LogKeyCipher(Protocol):
    """`name` is bound to the ciphertext, so that one key cannot be put in the place of another."""

    def encrypt(self, name: str, text: str) -> str: ...

    def decrypt(self, name: str, ciphertext: str) -> str | None:
        """None if it was changed, or encrypted with a key that this process does not have."""


@dataclass(frozen=True)
class LogKey:
    """Rows that were there before the first key may get MACs until `accepts_earlier_until_ms`, and no longer."""

    id: str
    secret: bytes
    created_at_ms: int
    accepts_earlier_until_ms: int


class KeyRing:
    """The keys by id, oldest first. They are read again when a head or a row names one that is not known yet."""

    def __init__(self, cipher: LogKeyCipher) -> None:
        self._cipher = cipher
        self._keys: dict[str, LogKey] = {}

    def find(self, key_id: str) -> LogKey | None:
        if key_id not in self._keys:
            self.read()
        return self._keys.get(key_id)

    def read(self) -> list[LogKey]:
        """Those that can be decrypted."""
        self._keys = {row.id: key for row in log_macs.key_rows() if (key := self._read(row))}
        return list(self._keys.values())

    def new(self, now_ms: int, accepts_earlier_until_ms: int) -> LogKey:
        return LogKey(secrets.token_hex(8), secrets.token_bytes(_KEY_BYTES), now_ms, accepts_earlier_until_ms)

    def store(self, key: LogKey) -> None:
        """Inside a transaction. Processes learn of the key when a head names it."""
        text = f"{key.secret.hex()} {key.created_at_ms} {key.accepts_earlier_until_ms}"
        db.session.add(LogKeyRow(id=key.id, secret=self._encrypt(key.id, text), created_at_ms=key.created_at_ms))
        db.session.flush()

    def _encrypt(self, key_id: str, text: str) -> str:
        return self._cipher.encrypt(log_key_name(key_id), text)

    def _read(self, row: LogKeyRow) -> LogKey | None:
        text = self._cipher.decrypt(log_key_name(row.id), row.secret)
        if text is None:
            _log.error("log key is unreadable", key=row.id)
            return None
        secret, created_at_ms, until_ms = text.split()
        return LogKey(row.id, bytes.fromhex(secret), int(created_at_ms), int(until_ms))


def key_ring() -> KeyRing:
    """That of the current app."""
    extensions = current_app.extensions
    if _RING not in extensions:
        extensions[_RING] = KeyRing(cast(LogKeyCipher, extensions[CIPHER]))
    return cast(KeyRing, extensions[_RING])
