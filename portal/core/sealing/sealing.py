"""Seal what a transaction has added to the logs, as its last step: others wait for the end of a log only so long."""

from collections.abc import Mapping, Sequence

from portal.core.extensions import db
from portal.core.rules.seal_chain import GENESIS_SEAL, REMOVED, amendment_seal, head_seal, is_seal, row_seals
from portal.core.sealing import seals
from portal.core.sealing.log_keys import LogKey, key_ring
from portal.core.sealing.seals import LOGS

_NOTED = "rows to seal"
_DAY_MS = 86_400_000
Rows = Sequence[tuple[int, str]]
"""Ids and contents, in their order."""


def note_rows(log: str, rows: Rows, now_ms: int) -> None:
    """They are sealed when the transaction ends."""
    noted = db.session.info.setdefault(_NOTED, {})
    noted.setdefault(log, (now_ms, []))[1].extend(rows)


def forget_noted() -> None:
    db.session.info.pop(_NOTED, None)


def seal_noted() -> None:
    """Always in the same order of the logs, so that no two transactions wait for each other."""
    noted: Mapping[str, tuple[int, list[tuple[int, str]]]] = db.session.info.pop(_NOTED, {})
    first_ids = {log: rows[0][0] for log, (_now_ms, rows) in noted.items()}
    for log in sorted(noted):
        now_ms, rows = noted[log]
        key, position, seal = _chain_end(log, first_ids, now_ms)
        sealed = list(row_seals(key.secret, log, (position, seal), (content for _id, content in rows)))
        ids = (row_id for row_id, _content in rows)
        seals.add_seals([(log, at, row_id, key.id, seal) for row_id, (at, seal) in zip(ids, sealed, strict=True)])
        seals.move_head(_head(key, log, *sealed[-1]))


def begin_chains(first_ids: Mapping[str, int], now_ms: int) -> None:
    """With the first key, once. Rows before `first_ids` were there before it, and may be sealed within a day."""
    has_earlier = any(seals.last_row_id(log, first_ids.get(name)) for name, log in LOGS.items())
    key = key_ring().new(now_ms, now_ms + _DAY_MS if has_earlier else now_ms)
    heads = [_head(key, log, 0, GENESIS_SEAL) for log in sorted(LOGS)]
    if all([seals.add_head(head) for head in heads]):  # otherwise another process began them meanwhile
        key_ring().store(key)


def amend_rows(log: str, contents: Mapping[int, str], now_ms: int) -> None:
    """Let the database empty or delete these rows: `contents` are what they become, or `REMOVED`.

    Rows without a seal are not protected, and need no amendment.
    """
    for row_id, seal in seals.seals_of(log, sorted(contents)).items():
        key = key_ring().find(seal.key_id) or _usable_key(now_ms)
        seal.amendment = amendment_seal(key.secret, log, seal.position, seal.seal, contents[row_id])
    db.session.flush()


def remove_rows(log: str, row_ids: Sequence[int], now_ms: int) -> None:
    amend_rows(log, dict.fromkeys(row_ids, REMOVED), now_ms)


def renew_key(now_ms: int) -> str:
    """Rows are sealed with a new key from now on; earlier ones keep theirs. Returns its id. Inside a transaction."""
    heads = seals.stored_heads(for_update=True)
    key = key_ring().new(now_ms, now_ms)
    key_ring().store(key)
    for head in heads:
        seals.move_head(_head(key, head.log, head.position, head.seal))
    return key.id


def _chain_end(log: str, first_ids: Mapping[str, int], now_ms: int) -> tuple[LogKey, int, str]:
    """Lock the log's head: the key to seal with, and the place and the seal of the last row.

    A head that somebody removed or changed leaves a gap in the chain, so that the log never fits together again.
    """
    head = seals.lock_head(log)
    if head is None and not seals.key_rows():
        begin_chains(first_ids, now_ms)
        head = seals.lock_head(log)
    key = (key_ring().find(head.key_id) if head else None) or _usable_key(now_ms)
    if head and head.key_id != key.id:
        return key, head.position, head.seal
    if head and is_seal(head.head_seal, head_seal(key.secret, log, head.position, head.seal)):
        return key, head.position, head.seal
    position, seal = seals.last_seal(log) or (0, GENESIS_SEAL)
    seals.add_head(_head(key, log, position + 1, seal))
    return key, position + 1, seal


def _usable_key(now_ms: int) -> LogKey:
    """The newest that this process can decrypt. If there is none, a new one: an entry matters more than its seal."""
    keys = key_ring().read()
    if keys:
        return keys[-1]
    key = key_ring().new(now_ms, now_ms)
    key_ring().store(key)
    return key


def _head(key: LogKey, log: str, position: int, seal: str) -> dict[str, str | int]:
    mac = head_seal(key.secret, log, position, seal)
    return {"log": log, "position": position, "seal": seal, "key_id": key.id, "head_seal": mac}
