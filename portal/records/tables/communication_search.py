"""Communications that match a search, page by page, in the same time whether there are a thousand or a million.

A page is read from short lists of candidates, newest first, to which all conditions of the search are applied. The
candidates are the newest communications; if too few of them match, those of the rarest thing that the search names,
each from an index that has their order. After a number of candidates the page ends, and the next one continues there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select, union
from sqlalchemy.orm import InstrumentedAttribute, selectinload

from portal.core.extensions import db
from portal.core.keyset import Keyset, Slice
from portal.core.statements import in_list
from portal.messages.tables.communication_history import with_their_deliveries
from portal.messages.tables.communications import Communication, Delivery
from portal.records.rules.search_line import SearchQuery
from portal.records.tables.search_conditions import conditions_of, sends_of_templates, states_of, visible_channels
from portal.records.tables.search_index import communications_by_subject
from portal.records.tables.word_search import (
    MAX_SENDS,
    WordMatches,
    few_matches,
    few_recipients,
)

_FIRST_CANDIDATES = 200
_ROUNDS = (200, 1_000, 2_000, 2_000)
"""How many candidates each round has."""
_FEW_RANGES, _MAX_RANGES = 8, 60
"""Many ranges at once have enough candidates for one round; more would be a statement that is slow to prepare."""
_CLOCK_TOLERANCE_MS = 3_600_000
"""Ids follow the time of creation but for transactions side by side, and clocks that differ."""


@dataclass(frozen=True)
class _Range:
    """Ids of communications that meet `conditions`. An index has them in order, unless they are those of a list."""

    id_column: InstrumentedAttribute[int]
    conditions: tuple[ColumnElement[bool], ...] = ()
    is_list: bool = False
    subject_word: str = ""
    """In place of conditions: those that have the word in a subject of their own."""


_ALL = (_Range(Communication.id),)


def search_page(query: SearchQuery, keyset: Keyset, with_sms: bool) -> Slice[Communication]:
    """A page by id, with deliveries and recipients. If the search ended early, the page says where to go on."""
    search = _Search(query, with_sms, keyset.size + 1)
    position, is_backward = keyset.after_id or keyset.before_id, keyset.after_id is None
    found = search.read(position, keyset.descending != is_backward) if position else None
    if found is None or (not found.ids and (is_backward or query.is_empty)):
        found, position, is_backward = search.read(None, keyset.descending), None, False
    has_more, ids = len(found.ids) > keyset.size, found.ids[: keyset.size]
    if is_backward:
        return Slice(_with_details(ids[::-1]), has_more or found.stopped_at is not None, True)
    next_after = None if has_more else found.stopped_at
    return Slice(_with_details(ids), position is not None, has_more or next_after is not None, next_after)


def _with_details(ids: Sequence[int]) -> list[Communication]:
    options = with_their_deliveries(), selectinload(Communication.account)
    query = select(Communication).options(*options).where(in_list(Communication.id, ids))
    rows = {row.id: row for row in db.session.scalars(query)} if ids else {}
    return [rows[id] for id in ids if id in rows]


@dataclass(frozen=True)
class _Found:
    """`stopped_at` is the last candidate, if others follow that have not been looked at."""

    ids: list[int]
    stopped_at: int | None = None


class _Search:
    """Reads at most `size` ids that match, onwards from an id in either direction."""

    def __init__(self, query: SearchQuery, with_sms: bool, size: int) -> None:
        self._query, self._size = query, size
        self._conditions = conditions_of(query, with_sms)
        self._with_sms = with_sms

    def read(self, position: int | None, descending: bool) -> _Found:
        self._descending = descending
        self._first_id, self._end_id = _id_bounds(self._query)
        if not self._conditions:
            return _Found(self._candidates(_ALL, position, self._size))
        candidates = self._candidates(_ALL, position, _FIRST_CANDIDATES)
        found = self._matches(candidates, self._size)
        if len(found) == self._size or len(candidates) < _FIRST_CANDIDATES:
            return _Found(found)
        ranges = _rarest_ranges(self._query, self._with_sms)
        return (
            self._read_ranges(ranges, candidates[-1], found) if ranges is _ALL else self._read_ranges(ranges, position)
        )

    def _read_ranges(self, ranges: tuple[_Range, ...], position: int | None, found: Sequence[int] = ()) -> _Found:
        ids = list(found)
        for limit in _ROUNDS if len(ranges) <= _FEW_RANGES else _ROUNDS[:2]:
            candidates = self._candidates(ranges, position, limit)
            ids += self._matches(candidates, self._size - len(ids))
            if len(ids) == self._size or len(candidates) < limit:
                return _Found(ids)
            position = candidates[-1]
        return _Found(ids, position)

    def _candidates(self, ranges: tuple[_Range, ...], position: int | None, limit: int) -> list[int]:
        if not ranges:
            return []
        lists = [self._ordered_ids(ids, position, limit) for ids in ranges]
        if len(lists) == 1:
            return list(db.session.scalars(lists[0]))
        merged = union(*(select(ids.subquery().c.id) for ids in lists)).subquery()
        return list(db.session.scalars(select(merged.c.id).order_by(self._order(merged.c.id)).limit(limit)))

    def _ordered_ids(self, ids: _Range, position: int | None, limit: int) -> Select[int]:
        if ids.subject_word:
            listed_ids = communications_by_subject(ids.subject_word, position, self._descending, limit)
            ids = _Range(Communication.id, (in_list(Communication.id, listed_ids),), is_list=True)
        query = select(ids.id_column.label("id")).where(*ids.conditions, *self._bounds(ids.id_column, position))
        if not ids.is_list:
            return query.order_by(self._order(ids.id_column)).limit(limit)
        # Otherwise the database may read all communications in order, rather than sort those of the list.
        listed = query.cte().prefix_with("MATERIALIZED")
        return select(listed.c.id).order_by(self._order(listed.c.id)).limit(limit)

    def _bounds(self, column: InstrumentedAttribute[int], position: int | None) -> Iterator[ColumnElement[bool]]:
        if position is not None:
            yield column < position if self._descending else column > position
        if self._end_id is not None:
            yield column < self._end_id
        if self._first_id is not None:
            yield column >= self._first_id

    def _order(self, column: Any) -> ColumnElement[Any]:
        order: ColumnElement[Any] = column.desc() if self._descending else column.asc()
        return order

    def _matches(self, candidates: Sequence[int], limit: int) -> list[int]:
        query = select(Communication.id).where(in_list(Communication.id, candidates), *self._conditions)
        return list(db.session.scalars(query.order_by(self._order(Communication.id)).limit(limit)))


def _id_bounds(query: SearchQuery) -> tuple[int | None, int | None]:
    """The first id that the days of the search allow, and the first one that they no longer do."""
    first = None if query.after_ms is None else _first_id_since(query.after_ms - _CLOCK_TOLERANCE_MS)
    end = None if query.before_ms is None else _first_id_since(query.before_ms + _CLOCK_TOLERANCE_MS)
    return first, end


def _first_id_since(at_ms: int) -> int:
    """The least id created then or later, by halving the ids, some of which may be missing."""
    low, high = 0, (db.session.scalar(select(func.max(Communication.id))) or 0) + 1
    columns = select(Communication.id, Communication.created_at_ms).order_by(Communication.id).limit(1)
    while high - low > 1:
        middle = (low + high) // 2
        row = db.session.execute(columns.where(Communication.id >= middle)).first()
        if row is None or row.created_at_ms >= at_ms:
            high = middle
        else:
            low = row.id
    return high


def _rarest_ranges(query: SearchQuery, with_sms: bool) -> tuple[_Range, ...]:
    """Where to look for candidates: none if nothing can match."""
    if query.numbers:
        is_text = Delivery.channel == literal_column("'sms'")  # as in the condition of the index
        return tuple(_Range(Delivery.communication_id, (is_text, Delivery.address == phone)) for phone in query.numbers)
    if (matches := _rarest_word(query)) is not None:
        return _ranges_of_word(matches)
    if query.codes:
        has_code = Delivery.error_code != literal_column("''")
        return tuple(_Range(Delivery.communication_id, (has_code, Delivery.error_code == code)) for code in query.codes)
    send_ids = _few_sends(query)
    states = [
        (Delivery.channel == channel, Delivery.state == state)
        for channel in visible_channels(query, with_sms)
        for group in query.groups
        for state in states_of(group)
    ]
    if send_ids is None:
        return tuple(_Range(Delivery.communication_id, state) for state in states) or _ALL
    if states and len(states) * len(send_ids) <= _MAX_RANGES:
        of_sends = ((Delivery.send_id == id, *state) for id in send_ids for state in states)
        return tuple(_Range(Delivery.communication_id, conditions) for conditions in of_sends)
    return tuple(_Range(Communication.id, (Communication.send_id == id,)) for id in send_ids)


def _rarest_word(query: SearchQuery) -> WordMatches | None:
    """None if every word matches many."""
    matches = (*map(few_recipients, query.recipients), *map(few_matches, query.words))
    return min(filter(None, matches), key=lambda found: found.size, default=None)


def _ranges_of_word(matches: WordMatches) -> tuple[_Range, ...]:
    ranges = []
    if matches.account_ids:
        ranges.append(_Range(Communication.id, (in_list(Communication.account_id, matches.account_ids),), is_list=True))
    if matches.subject_word:
        ranges.append(_Range(Communication.id, subject_word=matches.subject_word))
    of_sends = (
        (Communication.send_id == id, Communication.subject == subject) for id, subject in matches.send_subjects
    )
    return (*ranges, *(_Range(Communication.id, conditions) for conditions in of_sends))


def _few_sends(query: SearchQuery) -> list[int] | None:
    """None if the search names no sends, or too many to look at each."""
    if query.send_ids:
        return list(query.send_ids)[:MAX_SENDS] if len(query.send_ids) <= MAX_SENDS else None
    if not query.templates:
        return None
    ids: list[int] = list(db.session.scalars(sends_of_templates(query.templates).limit(MAX_SENDS + 1)))
    return ids if len(ids) <= MAX_SENDS else None
