"""Statements over all totals of deliveries: fold the rows of database sessions, compare with a recount, repair.

Each is one statement, so that it sees the deliveries and their totals at the same moment.
"""

from dataclasses import dataclass

from sqlalchemy import delete, select, text

from portal.core.extensions import db
from portal.core.rules.delivery_status import OPEN
from portal.messages.tables.delivery_totals import EarlierTotal

_KEY = "send_id, channel, hour, lane, kind, state, reason"
_FOLD_LIMIT = 5_000
_ADD_UP = f"""
    ON CONFLICT ({_KEY}, shard) DO UPDATE
    SET count = total.count + excluded.count, segments = total.segments + excluded.segments
"""  # noqa: S608  constants
_FOLD_SQL = f"""
    WITH folded AS (
        DELETE FROM delivery_total WHERE ({_KEY}, shard) IN (
            SELECT {_KEY}, shard FROM delivery_total WHERE shard <> 0 LIMIT {_FOLD_LIMIT} FOR UPDATE SKIP LOCKED)
        RETURNING *)
    INSERT INTO delivery_total AS total ({_KEY}, shard, count, segments, deleted_count, deleted_segments)
    SELECT {_KEY}, 0, sum(count), sum(segments), sum(deleted_count), sum(deleted_segments) FROM folded
    GROUP BY {_KEY} {_ADD_UP}, deleted_count = total.deleted_count + excluded.deleted_count,
        deleted_segments = total.deleted_segments + excluded.deleted_segments
"""  # noqa: S608  constants
_DELETE_ZEROS_SQL = """
    DELETE FROM delivery_total
    WHERE state IN ({states}) AND shard = 0 AND count = 0 AND segments = 0 AND deleted_count = 0
"""
DIFFERENCES_SQL = f"""
    SELECT {_KEY}, sum(count) AS count, sum(segments) AS segments
    FROM (
        SELECT coalesce(d.send_id, 0) AS send_id, d.channel, d.created_at_ms / 3600000 AS hour, d.lane,
            CASE WHEN d.send_id IS NULL THEN c.kind ELSE 'notification' END AS kind,
            CASE WHEN d.state IN ('accepted', 'sent') AND d.due_at_ms >= 9007199254740992
                THEN 'no_receipt' ELSE d.state END AS state,
            CASE WHEN d.state = 'skipped' THEN d.reason ELSE '' END AS reason, 1 AS count, d.segments
        FROM delivery d JOIN communication c ON c.id = d.communication_id
        UNION ALL
        SELECT {_KEY}, deleted_count - count, deleted_segments - segments FROM delivery_total
    ) rows
    WHERE true GROUP BY {_KEY} HAVING sum(count) <> 0 OR sum(segments) <> 0
"""  # noqa: S608  constants
_DIFFERENCES_LIST_SQL = f"SELECT send_id, channel, state, count, segments FROM ({DIFFERENCES_SQL}) differences"  # noqa: S608
_REPAIR_SQL = f"""
    INSERT INTO delivery_total AS total ({_KEY}, shard, count, segments)
    SELECT {_KEY}, 0, count, segments FROM ({DIFFERENCES_SQL}) differences WHERE true {_ADD_UP}
"""  # noqa: S608  constants
_COUNT_EARLIER_SQL = """
    INSERT INTO earlier_total (channel, state, count, until_hour)
    SELECT channel, state, sum(count), :hour FROM delivery_total WHERE hour < :hour GROUP BY channel, state
    ON CONFLICT (channel, state) DO UPDATE SET count = excluded.count, until_hour = excluded.until_hour
"""
_NO_TIME_LIMIT_SQL = """
    SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')
"""


@dataclass(frozen=True)
class TotalDifference:
    """How many deliveries, and segments, are missing in a total; negative if it has too many. `send_id` may be 0."""

    send_id: int
    channel: str
    state: str
    count: int
    segments: int


def fold_shards() -> None:
    """Add the rows of PostgreSQL's sessions to those of shard 0, except what a transaction holds at this moment."""
    if _is_postgresql():
        db.session.execute(text(_FOLD_SQL))


def delete_zeros() -> None:
    """Of states that deliveries leave again, so that few rows answer what is waiting."""
    states = ", ".join(f"'{state.value}'" for state in OPEN)
    db.session.execute(text(_DELETE_ZEROS_SQL.format(states=states)))


def are_counted_until(hour: int) -> bool:
    return db.session.scalar(select(EarlierTotal.channel).where(EarlierTotal.until_hour >= hour).limit(1)) is not None


def count_earlier(hour: int) -> None:
    """Everything created before the hour. Two schedulers may do it at once."""
    forget_earlier()
    db.session.execute(text(_COUNT_EARLIER_SQL), {"hour": hour})


def forget_earlier() -> None:
    """Until it is counted again, everything counts as later."""
    db.session.execute(delete(EarlierTotal))


def differences_from_recount() -> list[TotalDifference]:
    """Reads every delivery, which takes seconds for a million."""
    _lift_time_limit()
    rows = db.session.execute(text(_DIFFERENCES_LIST_SQL))
    return [
        TotalDifference(send_id, channel, state, int(count), int(segments))
        for send_id, channel, state, count, segments in rows
    ]


def add_differences() -> None:
    """Deliveries may change meanwhile: what is added is only what was missing when the statement began."""
    _lift_time_limit()
    db.session.execute(text(_REPAIR_SQL))
    forget_earlier()


def _lift_time_limit() -> None:
    if _is_postgresql():
        db.session.execute(text(_NO_TIME_LIMIT_SQL))


def _is_postgresql() -> bool:
    return db.session.get_bind().dialect.name == "postgresql"
