"""Rotate the encryption key: encrypt every stored secret with the newest key."""

import os
from collections.abc import Iterator

from sqlalchemy import Row

from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.settings.rules.encryption import DecryptionError, decrypt_secret, encrypt_secret, key_id
from portal.settings.tables.encrypted_columns import EncryptedColumn, encrypted_columns

_BATCH_SIZE = 200


def rotate_keys(now_ms: int) -> tuple[int, int]:
    """Return how many secrets were encrypted again, and how many used the newest key already.

    In small transactions: other processes work meanwhile, and an interrupted rotation continues where it ended.
    Raises `ActionRefused`, with nothing changed, if a secret cannot be decrypted.
    """
    columns, newest = list(encrypted_columns()), key_id(settings().encryption_keys[0])
    _check_all_readable(columns, newest)
    unchanged = sum(column.counts_by_key_id().get(newest, 0) for column in columns)
    db.session.rollback()
    reencrypted = sum(_reencrypt(column, newest) for column in columns)
    if reencrypted:
        with transaction():
            record_audit_entry("secrets_reencrypted", "stored secrets", None, now_ms, count=reencrypted)
    return reencrypted, unchanged


def _check_all_readable(columns: list[EncryptedColumn], newest: str) -> None:
    problems: list[str] = []
    for column in columns:
        for batch in _batches(column, newest):
            problems += filter(None, (_problem(column, row) for row in batch))
    if problems:
        raise ActionRefused(_("%(problems)s Nothing was changed.", problems=" ".join(dict.fromkeys(problems))))


def _problem(column: EncryptedColumn, row: "Row[str]") -> str:
    try:
        _decrypted(column, row)
    except DecryptionError as error:
        return str(error)
    return ""


def _reencrypt(column: EncryptedColumn, newest: str) -> int:
    """A value that somebody changes meanwhile is theirs; they encrypt it with their newest key."""
    count = 0
    for batch in _batches(column, newest):
        with transaction():
            for row in batch:
                count += column.replace(row, _encrypted(column, row))
    return count


def _batches(column: EncryptedColumn, newest: str) -> Iterator[list["Row[str]"]]:
    after: tuple[object, ...] = ()
    while batch := column.rows_of_other_keys(newest, after, _BATCH_SIZE):
        db.session.rollback()
        after = column.primary_key(batch[-1])
        yield batch


def _decrypted(column: EncryptedColumn, row: "Row[str]") -> str:
    name = column.secret_name(row)
    return decrypt_secret(row._mapping[column.column], name, settings().encryption_keys)


def _encrypted(column: EncryptedColumn, row: "Row[str]") -> str:
    name, text = column.secret_name(row), _decrypted(column, row)
    return encrypt_secret(text, name, settings().encryption_keys[0], os.urandom(12))
