"""Which overdue runs are still sent."""

import pytest

from portal.schedules.rules.lateness import HOUR_MS, ON_TIME_MS, LatePolicy
from portal.schedules.rules.schedule_states import NOT_ACTIVE, TOO_LATE

_DUE_MS = 1_000 * HOUR_MS


@pytest.mark.parametrize(
    ("late_hours", "delay_ms", "reason"),
    [
        (2, 0, ""),
        (2, 2 * HOUR_MS - 1, ""),
        (2, 2 * HOUR_MS, TOO_LATE),
        (0, ON_TIME_MS - 1, ""),
        (0, ON_TIME_MS, TOO_LATE),
    ],
)
def test_a_run_is_sent_until_it_is_too_late(late_hours: int, delay_ms: int, reason: str) -> None:
    assert LatePolicy(0, late_hours).missed_reason(_DUE_MS, _DUE_MS + delay_ms) == reason


def test_what_was_due_before_a_schedule_became_active_is_not_sent() -> None:
    policy = LatePolicy(_DUE_MS, 24)
    assert policy.missed_reason(_DUE_MS, _DUE_MS + 1) == NOT_ACTIVE
    assert policy.missed_reason(_DUE_MS + 1, _DUE_MS + 1) == ""
