"""Counters of what browsers report about the content security policy.

Anybody can report, so there is one row per violation and none per report, and the number of rows is limited.
"""

from collections.abc import Mapping

from sqlalchemy import Text, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing
from portal.operations.rules.policy_violations import PolicyViolation, ViolationCount

_MAX_ROWS = 200


class PolicyViolationCount(Base):
    """`page` is a route, and `blocked` a keyword, a scheme or a host."""

    __tablename__ = "policy_violation_count"
    __table_args__ = (STRICT,)

    directive: Mapped[str] = mapped_column(Text, primary_key=True)
    blocked: Mapped[str] = mapped_column(Text, primary_key=True)
    page: Mapped[str] = mapped_column(Text, primary_key=True)
    report_count: Mapped[int] = mapped_column(BigIntKey)
    first_seen_at_ms: Mapped[int] = mapped_column(Millis)
    last_seen_at_ms: Mapped[int] = mapped_column(Millis)


def count_violations(counts: Mapping[PolicyViolation, int], now_ms: int) -> None:
    """Must be called inside a transaction. While the table is full, only violations that it knows are counted."""
    is_full = (db.session.scalar(select(func.count()).select_from(PolicyViolationCount)) or 0) >= _MAX_ROWS
    for violation, count in sorted(counts.items()):
        key = {"directive": violation.directive, "blocked": violation.blocked, "page": violation.page}
        if not is_full:
            times = {"first_seen_at_ms": now_ms, "last_seen_at_ms": now_ms}
            insert_missing(PolicyViolationCount, [{**key, "report_count": 0, **times}], list(key))
        total = PolicyViolationCount.report_count + count
        query = update(PolicyViolationCount).filter_by(**key)
        db.session.execute(query.values(report_count=total, last_seen_at_ms=now_ms))


def delete_violations_before(before_ms: int) -> None:
    """Must be called inside a transaction."""
    db.session.execute(delete(PolicyViolationCount).where(PolicyViolationCount.last_seen_at_ms < before_ms))


def recent_violations(since_ms: int) -> list[ViolationCount]:
    query = select(PolicyViolationCount).where(PolicyViolationCount.last_seen_at_ms >= since_ms)
    return [
        ViolationCount(PolicyViolation(row.directive, row.blocked, row.page), row.report_count)
        for row in db.session.scalars(query)
    ]
