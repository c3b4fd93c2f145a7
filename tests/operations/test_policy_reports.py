"""Violations of the content security policy are counted in a table that stays small."""

import pytest

from portal.operations.policy_reports import check_policy_reports, record_violations
from portal.operations.rules.policy_violations import PolicyViolation
from portal.operations.tables.policy_violation_counts import recent_violations

pytestmark = pytest.mark.usefixtures("app")
DAY_MS = 86_400_000


def violation(host: str) -> PolicyViolation:
    return PolicyViolation("img-src", host, "/Admin")


def test_table_of_violations_stays_small() -> None:
    for start in range(0, 260, 20):
        record_violations([violation(f"{start + index}.example") for index in range(20)], 1)
    assert len(recent_violations(0)) == 200
    record_violations([violation("0.example"), violation("0.example"), violation("new.example")], 2)
    counts = {one.violation.blocked: one.count for one in recent_violations(0)}
    assert (len(counts), counts["0.example"]) == (200, 3)


def test_old_violations_are_forgotten() -> None:
    record_violations([violation("old.example")], 0)
    assert check_policy_reports(7 * DAY_MS).verdict == "warning"
    assert check_policy_reports(7 * DAY_MS + 1).verdict == "ok"
    record_violations([violation("new.example")], 30 * DAY_MS + 1)
    assert [one.violation.blocked for one in recent_violations(0)] == ["new.example"]
