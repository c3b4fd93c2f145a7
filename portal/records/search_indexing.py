"""Keep what searches read up to date, apart from the fan-out, which has no time for it.

The scheduler calls this each round. New communications get their subjects, one for a send whose subjects are equal;
on SQLite, changed accounts, phone numbers and subjects get their trigrams.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, select

from portal.core.coordination import SyncCursor, sync_cursor
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_for_search
from portal.core.statements import insert_missing, upsert
from portal.core.transaction import transaction
from portal.messages.tables.communications import Communication
from portal.records.tables import search_index
from portal.records.tables.search_index import SEARCHED_COLUMNS, SearchSubject

_CURSOR = "search_subjects"
_CHUNK, _CHUNKS_PER_ROUND = 1_000, 50
_SETTLED_MS = 75_000
"""On PostgreSQL, a transaction may commit lower ids than those that are visible, for as long as it may last."""


def index_new(clock: Callable[[], int]) -> None:
    """A part of what is new: a round of the scheduler must not take long."""
    for _chunk in range(_CHUNKS_PER_ROUND):
        if not _index_subjects(clock()):
            break
    if search_index.is_sqlite():
        _index_changed_rows()
    db.session.rollback()


def _index_subjects(now_ms: int) -> bool:
    """The next chunk of communications. False if there are no others."""
    after_id = sync_cursor(_CURSOR) or 0
    chunk = _next_communications(after_id, now_ms)
    rows = _new_subjects(chunk)
    if not chunk:
        return False
    with transaction():
        if (sync_cursor(_CURSOR) or 0) != after_id:
            return False
        upsert(SyncCursor, {"name": _CURSOR, "at_ms": chunk[-1].id}, ["name"])
        insert_missing(SearchSubject, rows, ["communication_id"])
    return len(chunk) == _CHUNK


def _next_communications(after_id: int, now_ms: int) -> Sequence[Row[int, int | None, str]]:
    query = select(Communication.id, Communication.send_id, Communication.subject).where(Communication.id > after_id)
    if not search_index.is_sqlite():
        query = query.where(Communication.created_at_ms < now_ms - _SETTLED_MS)
    return db.session.execute(query.order_by(Communication.id).limit(_CHUNK)).all()


def _new_subjects(chunk: Sequence[Row[int, int | None, str]]) -> list[dict[str, Any]]:
    send_ids = Counter(row.send_id for row in chunk if row.send_id is not None)
    of_sends = search_index.subjects_of_sends(list(send_ids))
    counts = Counter((row.send_id, row.subject) for row in chunk if row.send_id is not None)
    common = {pair for pair, count in counts.items() if count > 1 and count * 2 > send_ids[pair[0]]} - of_sends
    single = [row for row in chunk if (row.send_id, row.subject) not in of_sends | common]
    return [
        *(_subject_row(subject, send_id=send_id) for send_id, subject in sorted(common)),
        *(_subject_row(row.subject, communication_id=row.id) for row in single),
    ]


def _subject_row(subject: str, send_id: int | None = None, communication_id: int | None = None) -> dict[str, Any]:
    folded = fold_for_search(subject)
    return {"send_id": send_id, "communication_id": communication_id, "subject": subject, "folded": folded}


def _index_changed_rows() -> None:
    for column in SEARCHED_COLUMNS:
        for _chunk in range(_CHUNKS_PER_ROUND):
            with transaction():
                row_ids = search_index.queued(column, _CHUNK)
                search_index.index_rows(column, row_ids)
            if len(row_ids) < _CHUNK:
                break
