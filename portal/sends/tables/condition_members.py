"""All accounts that meet conditions, found by intersecting and subtracting whole sets of account ids.

Both databases read these sets in order of the ids from indexes and merge them. That takes a fraction of the time in
which they look for each account in each set, and the first page is complete before the sets are read to their ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, except_, func, intersect, not_, select, text, union

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.sends.tables.condition_queries import AccountCondition, read_conditions
from portal.sends.tables.sms_state_conditions import AccountIds

_NO_LIMIT = 2**62
"""SQLite forgets the order of a subquery without a limit, and then collects and sorts it."""
_Ids = Select[Any] | CompoundSelect[Any]


def count_members(audience: Mapping[str, Any], accounts: Select[Any]) -> int:
    """How many of `accounts`, a query of ids, meet the conditions of the audience."""
    conditions = read_conditions(audience)
    if not conditions:
        return 0
    if audience["match"] == "all":
        return _count(_meeting_all(accounts, conditions))
    return _count(accounts) - _count(_meeting_none(accounts, conditions))


def next_members(audience: Mapping[str, Any], accounts: Select[Any], descending: bool, limit: int) -> list[int]:
    """The first ids of those who meet the conditions."""
    conditions = read_conditions(audience)
    if not conditions:
        return []
    ids: _Ids = _meeting_all(accounts, conditions)
    if audience["match"] == "any":
        ids = except_(accounts, select(_in_order(_meeting_none(accounts, conditions), descending).subquery()))
    return list(db.session.scalars(_in_order(ids, descending, limit)))


def _count(ids: _Ids) -> int:
    return db.session.scalar(select(func.count()).select_from(_in_order(ids).subquery())) or 0


def _in_order(ids: Any, descending: bool = False, limit: int = _NO_LIMIT) -> Any:
    return ids.order_by(text("1 DESC" if descending else "1")).limit(limit)


def _meeting_none(accounts: Select[Any], conditions: Sequence[AccountCondition]) -> _Ids:
    return _meeting_all(accounts, [replace(condition, negated=not condition.negated) for condition in conditions])


def _meeting_all(accounts: Select[Any], conditions: Sequence[AccountCondition]) -> _Ids:
    with_sets = [condition for condition in conditions if condition.sets]
    accounts = accounts.where(*(_own_columns(condition) for condition in conditions if not condition.sets))
    wanted = [condition.sets for condition in with_sets if not condition.negated]
    few = [sets for sets in wanted if all(ids.few for ids in sets)]
    accounts = accounts.where(*(Account.id.in_(_union(sets)) for sets in few))
    wanted = [sets for sets in wanted if sets not in few]
    removed = [ids for condition in with_sets if condition.negated for ids in condition.sets]
    removed += [other for sets in wanted if len(sets) == 1 for other in sets[0].without]
    kept = intersect(*map(_union, wanted), accounts) if wanted else accounts
    return _subtract(kept, removed)


def _own_columns(condition: AccountCondition) -> ColumnElement[bool]:
    return not_(condition.columns) if condition.negated else condition.columns


def _union(sets: Sequence[AccountIds]) -> Select[Any]:
    """What is subtracted from a single set is left to the caller, who needs no subquery for it."""
    return sets[0].query if len(sets) == 1 else select(union(*map(_difference, sets)).subquery())


def _difference(ids: AccountIds) -> Select[Any]:
    return select(_subtract(ids.query, ids.without).subquery()) if ids.without else ids.query


def _subtract(ids: _Ids, removed: Sequence[AccountIds]) -> _Ids:
    if not removed:
        return ids
    difference = except_(ids, *map(_difference, removed))
    difference.selects[0] = ids  # without the parentheses around it, which SQLite refuses
    return difference
