"""Protect what a transaction has added to the logs, as its last step: others wait for the end of a log only so long."""

from collections.abc import Mapping, Sequence

from portal.core.extensions import db
from portal.core.log_integrity import log_macs
from portal.core.log_integrity.log_keys import LogKey, key_ring
from portal.core.log_integrity.log_macs import LOGS
from portal.core.rules.integrity.mac_chain import GENESIS_MAC, REMOVED, amendment_mac, head_mac, is_mac, row_macs

_NOTED = "rows without a MAC"
_DAY_MS = 86_400_000
Rows = Sequence[tuple[int, str]]
"""Ids and contents, in their order."""


def note_rows(log: str, rows: Rows, now_ms: int) -> None:
    """They get their MACs when the transaction ends."""
    noted = db.session.info.setdefault(_NOTED, {})
    noted.setdefault(log, (now_ms, []))[1].extend(rows)


def forget_noted() -> None:
    db.session.info.pop(_NOTED, None)


def add_noted_macs() -> None:
    """Always in the same order of the logs, so that no two transactions wait for each other."""
    noted: Mapping[str, tuple[int, list[tuple[int, str]]]] = db.session.info.pop(_NOTED, {})
    first_ids = {log: rows[0][0] for log, (_now_ms, rows) in noted.items()}
    for log in sorted(noted):
        now_ms, rows = noted[log]
        key, position, mac = _chain_end(log, first_ids, now_ms)
        added = list(row_macs(key.secret, log, (position, mac), (content for _id, content in rows)))
        ids = (row_id for row_id, _content in rows)
        log_macs.add_macs([(log, at, row_id, key.id, mac) for row_id, (at, mac) in zip(ids, added, strict=True)])
        log_macs.move_head(_head(key, log, *added[-1]))


def begin_chains(first_ids: Mapping[str, int], now_ms: int) -> None:
    """With the first key, once. Rows before `first_ids` were there before it, and may get MACs within a day."""
    has_earlier = any(log_macs.last_row_id(log, first_ids.get(name)) for name, log in LOGS.items())
    key = key_ring().new(now_ms, now_ms + _DAY_MS if has_earlier else now_ms)
    heads = [_head(key, log, 0, GENESIS_MAC) for log in sorted(LOGS)]
    if all([log_macs.add_head(head) for head in heads]):  # otherwise another process began them meanwhile
        key_ring().store(key)


def amend_rows(log: str, contents: Mapping[int, str], now_ms: int) -> None:
    """Let the database empty or delete these rows: `contents` are what they become, or `REMOVED`.

    Rows without a MAC are not protected, and need no amendment.
    """
    for row_id, mac in log_macs.macs_of(log, sorted(contents)).items():
        key = key_ring().find(mac.key_id) or _usable_key(now_ms)
        mac.amendment = amendment_mac(key.secret, log, mac.position, mac.mac, contents[row_id])
    db.session.flush()


def remove_rows(log: str, row_ids: Sequence[int], now_ms: int) -> None:
    amend_rows(log, dict.fromkeys(row_ids, REMOVED), now_ms)


def renew_key(now_ms: int) -> str:
    """Rows are protected with a new key from now on; earlier ones keep theirs. Returns its id. Inside a transaction.

    The first key is new, and what was there before it is still to be protected.
    """
    heads = log_macs.stored_heads(for_update=True)
    if not heads and not log_macs.key_rows():
        begin_chains({}, now_ms)
        return log_macs.key_rows()[-1].id
    key = key_ring().new(now_ms, now_ms)
    key_ring().store(key)
    for head in heads:
        log_macs.move_head(_head(key, head.log, head.position, head.mac))
    return key.id


def _chain_end(log: str, first_ids: Mapping[str, int], now_ms: int) -> tuple[LogKey, int, str]:
    """Lock the log's head: the key to use, and the place and the MAC of the last row.

    A head that somebody removed, changed or set back, or whose key is lost, leaves a gap: the log never fits together
    again.
    """
    head = log_macs.lock_head(log)
    if head is None:
        if not log_macs.key_rows():
            begin_chains(first_ids, now_ms)
        head = log_macs.lock_head(log)  # another process may have begun them
    key = key_ring().find(head.key_id) if head else None
    position, mac = log_macs.last_mac(log) or (0, GENESIS_MAC)
    is_genuine = head and key and is_mac(head.head_mac, head_mac(key.secret, log, head.position, head.mac))
    if head and key and is_genuine and position <= head.position:
        return key, head.position, head.mac
    key = key or _usable_key(now_ms)
    log_macs.add_head(_head(key, log, position + 1, mac))
    return key, position + 1, mac


def _usable_key(now_ms: int) -> LogKey:
    """The newest that this process can decrypt. If there is none, a new one: an entry matters more than its MAC."""
    keys = key_ring().read()
    if keys:
        return keys[-1]
    key = key_ring().new(now_ms, now_ms)
    key_ring().store(key)
    return key


def _head(key: LogKey, log: str, position: int, mac: str) -> dict[str, str | int]:
    own_mac = head_mac(key.secret, log, position, mac)
    return {"log": log, "position": position, "mac": mac, "key_id": key.id, "head_mac": own_mac}
