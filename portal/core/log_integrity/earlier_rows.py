"""Protect rows of before the first key, and those that processes of the previous release add during the upgrade."""

from collections.abc import Callable

from portal.core.extensions import db
from portal.core.log_integrity import log_macs, mac_writing
from portal.core.log_integrity.log_keys import key_ring
from portal.core.log_integrity.log_macs import LOGS, ProtectedLog
from portal.core.transaction import transaction

_BATCH_SIZE = 1_000


def protect_earlier_rows(clock: Callable[[], int]) -> None:
    """Within a day of the first key, and never after: by then each row without a MAC was inserted past the portal."""
    _begin(clock())
    keys = key_ring().read()
    db.session.rollback()
    if keys and clock() < keys[0].accepts_earlier_until_ms:
        for log in LOGS.values():
            _protect_all(log, clock)


def _protect_all(log: ProtectedLog, clock: Callable[[], int]) -> None:
    """Look for the first row without a lock: others wait for each batch, and none should read the whole log."""
    first_id, count = log_macs.count_unprotected(log)
    db.session.rollback()
    after_id = first_id - 1 if count else None
    while after_id is not None:
        after_id = _protect_batch(log, after_id, clock())


def _begin(now_ms: int) -> None:
    has_keys = bool(log_macs.key_rows())
    db.session.rollback()
    if not has_keys:
        with transaction():
            mac_writing.begin_chains({}, now_ms)


def _protect_batch(log: ProtectedLog, after_id: int, now_ms: int) -> int | None:
    """The last row of the batch, or None after the last batch."""
    with transaction() as session:
        log_macs.lock_head(log.name)
        query = log_macs.unprotected(log).where(log.row_id > after_id).limit(_BATCH_SIZE)
        rows = [(row.id, log.content(row)) for row in session.execute(query)]
        if rows:
            mac_writing.note_rows(log.name, rows, now_ms)
    return rows[-1][0] if len(rows) == _BATCH_SIZE else None
