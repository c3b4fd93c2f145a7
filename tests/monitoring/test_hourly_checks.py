"""The hourly diagnostics lead to an alert when a check that has passed begins to fail, once."""

import pytest
from sqlalchemy import func, select

from portal.accounts.account_management import NewAccount, create_account
from portal.core.extensions import db
from portal.monitoring import hourly_checks
from portal.monitoring.alert_checks import check_alerts
from portal.monitoring.conditions import current_conditions
from portal.monitoring.rules.alert_kinds import AlertKind, Condition, describe_alert
from portal.monitoring.rules.check_changes import KnownVerdict, next_verdict
from portal.monitoring.tables import check_verdicts
from portal.monitoring.tables.alerts import AlertNotice
from portal.operations.diagnostics import DiagnosticsReport
from portal.operations.rules.checks import CREDENTIALS, QUEUE, CheckResult
from tests.support import scenario

NOW_MS, HOUR_MS = scenario.now_ms(), 3_600_000
WORSE = Condition(AlertKind.CHECK_FAILING, CREDENTIALS.name)
PASSES, FAILS = CREDENTIALS.ok("fine"), CREDENTIALS.failing("no", "do")


@pytest.mark.parametrize(
    ("verdicts", "is_worse"),
    [
        (("failing",), False),
        (("unknown", "failing"), False),
        (("ok", "failing"), True),
        (("warning", "failing"), True),
        (("ok", "unknown", "failing"), True),
        (("ok", "failing", "unknown"), True),
        (("ok", "failing", "failing"), True),
        (("ok", "failing", "warning"), False),
    ],
)
def test_only_what_has_passed_can_get_worse(verdicts: tuple[str, ...], is_worse: bool) -> None:
    known: KnownVerdict | None = None
    for at_ms, verdict in enumerate(verdicts):
        known = next_verdict(known, verdict, at_ms)  # type: ignore[arg-type]
    assert known
    assert (known.worse_since_ms is not None) == is_worse


@pytest.fixture
def runs(app: object, monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    """What the next runs of the diagnostics find."""
    results: list[CheckResult] = []
    monkeypatch.setattr(hourly_checks, "run_diagnostics", lambda clock: DiagnosticsReport((results.pop(0),), clock()))
    return results


def look(hours: float) -> int:
    """How many notices there are after the scheduler looked."""
    at_ms = NOW_MS + round(hours * HOUR_MS)
    hourly_checks.check_hourly(lambda: at_ms)
    check_alerts(at_ms)
    kinds = select(func.count()).select_from(AlertNotice)
    return db.session.scalar(kinds.where(AlertNotice.alert.has(kind=AlertKind.CHECK_FAILING))) or 0


def test_change_for_the_worse_is_told_once_and_so_is_its_end(runs: list[CheckResult]) -> None:
    create_account(NewAccount("S-1", "Sasha", "s@example.org", "Staff", "sysadmin"), NOW_MS)
    runs += [PASSES, FAILS, FAILS, PASSES]
    assert [look(hours) for hours in (0, 0.5, 1, 1.5, 2, 3, 3.5, 4)] == [0, 0, 0, 0, 1, 1, 1, 2]
    assert runs == []


def test_alert_names_the_check_and_the_way_out() -> None:
    described = describe_alert(AlertKind.CHECK_FAILING, CREDENTIALS.name)
    assert described.title == "A check fails: Credentials"
    assert "test harness" in described.advice


def test_what_another_alert_tells_sooner_is_not_told_twice(app: object) -> None:
    check_verdicts.store_verdicts({name: KnownVerdict("failing", 1) for name in (QUEUE.name, WORSE.subject)}, NOW_MS)
    conditions = current_conditions(NOW_MS)
    assert WORSE in conditions
    assert Condition(AlertKind.CHECK_FAILING, QUEUE.name) not in conditions
