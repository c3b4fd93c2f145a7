"""What the keys of the portal are in use for. Shows no key, only the ids under which secrets are stored."""

from collections import Counter
from dataclasses import dataclass

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.log_integrity import log_macs
from portal.settings.rules.encryption import key_id
from portal.settings.tables.encrypted_columns import encrypted_columns
from portal.settings.tables.signing_keys import stored_signing_keys


@dataclass(frozen=True)
class EncryptionKeyUse:
    """`counts` are the stored secrets of each column. `is_known`: this process has the key."""

    id: str
    is_newest: bool
    is_known: bool
    counts: dict[str, int]


@dataclass(frozen=True)
class SigningKeyStatus:
    """`private_count` keys can still sign; the others only verify."""

    created_at_ms: int | None
    count: int
    private_count: int


@dataclass(frozen=True)
class LogKeyStatus:
    """Earlier keys verify what they have written."""

    created_at_ms: int | None
    count: int


def encryption_key_uses() -> list[EncryptionKeyUse]:
    """The keys of this process, newest first, then those that it lacks."""
    counts: dict[str, Counter[str]] = {key_id(key): Counter() for key in settings().encryption_keys}
    known = list(counts)
    for column in encrypted_columns():
        for id, count in column.counts_by_key_id().items():
            counts.setdefault(id, Counter())[column.label] += count
    db.session.rollback()
    return [EncryptionKeyUse(id, id == known[0], id in known, dict(uses)) for id, uses in counts.items()]


def signing_key_status() -> SigningKeyStatus:
    rows = stored_signing_keys()
    status = SigningKeyStatus(
        rows[0].created_at_ms if rows else None, len(rows), sum(1 for row in rows if row.private_key)
    )
    db.session.rollback()
    return status


def log_key_status() -> LogKeyStatus:
    rows = log_macs.key_rows()
    status = LogKeyStatus(rows[-1].created_at_ms if rows else None, len(rows))
    db.session.rollback()
    return status
