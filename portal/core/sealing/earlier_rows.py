"""Seal what was recorded before the first key, and what processes of the previous release record during the upgrade."""

from collections.abc import Callable

from portal.core.extensions import db
from portal.core.sealing import sealing, seals
from portal.core.sealing.log_keys import key_ring
from portal.core.sealing.seals import LOGS, SealedLog
from portal.core.transaction import transaction

_BATCH_SIZE = 1_000


def seal_earlier_rows(clock: Callable[[], int]) -> None:
    """Within a day of the first key, and never after: by then each row without a seal was inserted past the portal."""
    _begin(clock())
    keys = key_ring().read()
    db.session.rollback()
    if keys and clock() < keys[0].accepts_earlier_until_ms:
        for log in LOGS.values():
            while _seal_batch(log, clock()) == _BATCH_SIZE:
                pass


def _begin(now_ms: int) -> None:
    has_keys = bool(seals.key_rows())
    db.session.rollback()
    if not has_keys:
        with transaction():
            sealing.begin_chains({}, now_ms)


def _seal_batch(log: SealedLog, now_ms: int) -> int:
    with transaction() as session:
        seals.lock_head(log.name)
        rows = [(row.id, log.content(row)) for row in session.execute(seals.unsealed(log).limit(_BATCH_SIZE))]
        if rows:
            sealing.note_rows(log.name, rows, now_ms)
    return len(rows)
