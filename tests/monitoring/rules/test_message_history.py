"""Failure rates, and what became of messages day by day."""

from datetime import date

import pytest

from portal.core.rules.delivery_status import DeliveryState, StateGroup
from portal.monitoring.rules.cost_table import cost_table
from portal.monitoring.rules.day_hours import DayHours
from portal.monitoring.rules.message_history import FailureRate, failure_rate, group_states, message_history

DAYS = DayHours((date(2026, 11, 27), date(2026, 11, 28)), (0, 24))


def test_only_messages_with_a_final_status_count_for_the_rate() -> None:
    states = {state.value: 10 for state in DeliveryState}
    rate = failure_rate(group_states(states))
    assert (rate.failed, rate.concluded) == (40, 70)
    assert failure_rate({}).percent == 0


@pytest.mark.parametrize(
    ("failed", "concluded", "was_exceeded", "expected"),
    [
        (1, 19, False, False),
        (2, 20, False, True),
        (5, 100, False, False),
        (6, 100, False, True),
        (5, 100, True, True),
        (4, 100, True, False),
    ],
)
def test_limit_is_exceeded(failed: int, concluded: int, was_exceeded: bool, expected: bool) -> None:
    """Of too few messages never; and once exceeded, until the rate is clearly lower."""
    assert FailureRate(failed, concluded).exceeds(5, was_exceeded) is expected


def test_history_adds_up_days_and_states() -> None:
    counts = {(0, "sms", "delivered"): 30, (1, "sms", "failed"): 2, (1, "sms", "undelivered"): 1}
    history = message_history(DAYS, counts)
    assert history.of_last_days("sms", 1) == {StateGroup.FAILED: 3}
    assert history.of_last_days("sms", 2) == {StateGroup.DELIVERED: 30, StateGroup.FAILED: 3}
    assert history.daily("sms", 2, StateGroup.DELIVERED) == (30, 0)
    assert history.daily_failure_percent("sms", 2) == (0, 0)
    assert history.of_last_days("email", 2) == {}


def test_templates_with_few_segments_are_added_up() -> None:
    segments = {(f"T{number}", 1): 100 - number for number in range(12)} | {("T0", 0): 7, ("", 1): 500}
    table = cost_table(DAYS.days, segments, None, limit=3)
    assert [(row.name, row.segments) for row in table.rows] == [
        ("", (0, 500)),
        ("T0", (7, 100)),
        ("T1", (0, 99)),
        (None, (0, sum(100 - number for number in range(2, 12)))),
    ]
    assert table.totals == (7, 500 + sum(100 - number for number in range(12)))
    assert table.cost(10) is None
