"""Run the diagnostics once an hour, so that an alert tells about a check that has passed and now fails (ADR 50)."""

from portal.core.transaction import transaction
from portal.monitoring.rules.check_changes import next_verdict
from portal.monitoring.tables import check_verdicts
from portal.operations.check_runner import Clock
from portal.operations.diagnostics import run_diagnostics

_HOUR_MS = 3_600_000
_START = {"": next_verdict(None, "unknown", 0)}
"""Stored at the first look, so that the first run comes an hour later, however often the scheduler restarts."""


def check_hourly(clock: Clock) -> None:
    now_ms, last_ms = clock(), check_verdicts.last_checked_ms()
    if last_ms is None:
        with transaction():
            check_verdicts.store_verdicts(_START, now_ms)
    elif not 0 <= now_ms - last_ms < _HOUR_MS:
        record_checks(clock)


def record_checks(clock: Clock) -> None:
    report = run_diagnostics(clock)
    with transaction():
        known = check_verdicts.known_verdicts()
        now = {check.name: next_verdict(known.get(check.name), check.verdict, report.at_ms) for check in report.checks}
        check_verdicts.store_verdicts(now, report.at_ms)
