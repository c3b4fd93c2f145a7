"""Finding the rows whose text contains a word, by the groups of three letters in it, on both databases.

PostgreSQL keeps an index of `search_trigrams(column)`. On SQLite the trigrams are in FTS5 tables, which follow the rows
a little later: triggers note each changed row in `search_queue`, since SQLite lets no trigger write to an FTS5 table
while `trusted_schema` is off. Until a row is indexed, searches read it from the queue.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Text, and_, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.column_types import STRICT, BigIntKey
from portal.core.extensions import Base, db
from portal.core.statements import in_list

MIN_LETTERS = 3
"""Shorter words have no trigram."""
TRIGRAM_PREFIX = "trigram_"
_LAST_CHARACTER = "\U0010ffff"


class SearchSubject(Base):
    """A subject that most communications of a send have, or that one communication has; `folded` is searched."""

    __tablename__ = "search_subject"
    __table_args__ = (
        Index("ix_search_subject_send", "send_id"),
        Index("uq_search_subject_communication", "communication_id", unique=True),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    send_id: Mapped[int | None] = mapped_column(ForeignKey("send.id"))
    communication_id: Mapped[int | None] = mapped_column(ForeignKey("communication.id", ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(Text)
    folded: Mapped[str] = mapped_column(Text)


class SearchQueueEntry(Base):
    """On SQLite: a row of the table `source` whose trigrams have to be written anew."""

    __tablename__ = "search_queue"
    __table_args__ = (STRICT,)

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    row_id: Mapped[int] = mapped_column(BigIntKey, primary_key=True, autoincrement=False)


Searched = InstrumentedAttribute[str]
SEARCHED_COLUMNS: tuple[Searched, ...] = (Account.search_folded, PhoneNumber.number, SearchSubject.folded)
"""Whose trigrams are indexed. Migration 0006 makes the index, and on SQLite the triggers, of each."""


def ids_containing(column: Searched, word: str, limit: int) -> list[int]:
    """Rows of a searched column that contain the word, of three letters or more. Not all if there are `limit`."""
    id_column, contains = column.class_.id, column.contains(word, autoescape=True)
    if not is_sqlite():
        has_trigrams = _trigrams(column).contains(_trigrams(word))
        return list(db.session.scalars(select(id_column).where(has_trigrams, contains).limit(limit)))
    waiting = select(SearchQueueEntry.row_id).where(SearchQueueEntry.source == column.class_.__tablename__)
    indexed = in_list(id_column, _indexed_ids(column, word, limit))
    ids = {
        *db.session.scalars(select(id_column).where(indexed, contains)),
        *db.session.scalars(select(id_column).where(id_column.in_(waiting), contains).limit(limit)),
    }
    return sorted(ids)[:limit]


def communications_by_subject(word: str, position: int | None, descending: bool, limit: int) -> list[int]:
    """Those that have the word in a subject of their own, in order of id, onwards from a position."""
    of_own = SearchSubject.communication_id
    contains = SearchSubject.folded.contains(word, autoescape=True)
    query = select(of_own).where(contains, of_own.is_not(None))
    if is_sqlite():
        query = query.where(in_list(SearchSubject.id, _subjects_in_order(word, position, descending, limit)))
    else:
        query = query.where(_trigrams(SearchSubject.folded).contains(_trigrams(word)))
    if position is not None:
        query = query.where(of_own < position if descending else of_own > position)
    return [id for id in db.session.scalars(query.order_by(of_own.desc() if descending else of_own).limit(limit)) if id]


def _subjects_in_order(word: str, position: int | None, descending: bool, limit: int) -> list[int]:
    """Ids of subjects, which have the order of the communications; FTS5 reads its rows in order of their ids."""
    sign, direction = ("<=", "DESC") if descending else (">=", "ASC")
    nearest = select(SearchSubject.id).where(SearchSubject.communication_id.is_not(None))
    if position is not None:
        of_own = SearchSubject.communication_id
        nearest = nearest.where(of_own < position if descending else of_own > position)
    order = SearchSubject.communication_id.desc() if descending else SearchSubject.communication_id
    first_id = db.session.scalar(nearest.order_by(order).limit(1)) or 0
    table = trigram_table(SearchSubject.folded)
    query = (
        f"SELECT rowid FROM {table} WHERE {table} MATCH :phrase AND rowid {sign} :id "  # noqa: S608  our own names
        f"ORDER BY rowid {direction} LIMIT :limit"
    )
    return list(db.session.scalars(text(query), {"phrase": _phrase(word), "id": first_id, "limit": limit}))


def send_subjects_containing(word: str, limit: int) -> list[tuple[int, str]]:
    """Send id and subject. There are about as many subjects of sends as there are sends.

    SQLite reads those alone with `> 0`, not with `IS NOT NULL`.
    """
    query = select(SearchSubject.send_id, SearchSubject.subject).where(SearchSubject.send_id > 0)
    rows = db.session.execute(query.where(SearchSubject.folded.contains(word, autoescape=True)).limit(limit))
    return [(send_id or 0, subject) for send_id, subject in rows]


def _trigrams(column_or_word: Searched | str) -> Any:
    return func.search_trigrams(column_or_word, type_=ARRAY(Text))


def _indexed_ids(column: Searched, word: str, limit: int) -> list[int]:
    table = trigram_table(column)
    query = text(f"SELECT rowid FROM {table} WHERE {table} MATCH :phrase LIMIT :limit")  # noqa: S608  our own name
    return list(db.session.scalars(query, {"phrase": _phrase(word), "limit": limit}))


def _phrase(word: str) -> str:
    """In quotation marks, a phrase of an FTS5 query stands for its characters; a quotation mark in it is doubled."""
    return '"' + word.replace('"', '""') + '"'


def starts_with(column: Searched, folded: str) -> ColumnElement[bool]:
    """As a range, which an index serves on both databases whatever their collation."""
    last = folded + _LAST_CHARACTER
    if is_sqlite():
        return and_(column >= folded, column < last)
    return and_(column.op("~>=~", is_comparison=True)(folded), column.op("~<~", is_comparison=True)(last))


def is_sqlite() -> bool:
    return db.session.get_bind().dialect.name == "sqlite"


def trigram_table(column: Searched) -> str:
    """The FTS5 table of a searched column on SQLite, and the name of its index on PostgreSQL."""
    return f"{TRIGRAM_PREFIX}{column.class_.__tablename__}"


def queued(column: Searched, limit: int) -> list[int]:
    query = select(SearchQueueEntry.row_id).where(SearchQueueEntry.source == column.class_.__tablename__)
    return list(db.session.scalars(query.order_by(SearchQueueEntry.row_id).limit(limit)))


def index_rows(column: Searched, row_ids: Sequence[int]) -> None:
    """Write the trigrams of these rows anew, and take them out of the queue. Inside a transaction, on SQLite."""
    table, ids = trigram_table(column), json.dumps(list(row_ids))
    chosen = "IN (SELECT value FROM json_each(:ids))"
    searched = f"SELECT id, {column.key} FROM {column.class_.__tablename__} WHERE id {chosen}"  # noqa: S608  own names
    statements = (
        f"DELETE FROM {table} WHERE rowid {chosen}",  # noqa: S608
        f"INSERT INTO {table} (rowid, {column.key}) {searched}",
        f"DELETE FROM search_queue WHERE source = '{column.class_.__tablename__}' AND row_id {chosen}",  # noqa: S608
    )
    for statement in statements:
        db.session.execute(text(statement), {"ids": ids})


def subjects_of_sends(send_ids: Sequence[int]) -> set[tuple[int, str]]:
    """Send id and subject, of the subjects that are stored for a whole send."""
    query = select(SearchSubject.send_id, SearchSubject.subject).where(in_list(SearchSubject.send_id, send_ids))
    return {(send_id or 0, subject) for send_id, subject in db.session.execute(query)}
