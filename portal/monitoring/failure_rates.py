"""The failure rates by which the dashboard and the alerts judge."""

from collections import Counter

from portal.messages.tables.delivery_totals import HOUR_MS
from portal.monitoring.rules.day_hours import HourSpan
from portal.monitoring.rules.message_history import FailureRate, failure_rate, group_states
from portal.monitoring.tables import daily_counts

_HOURS = 24


def recent_failure_rates(now_ms: int) -> dict[str, FailureRate]:
    """By channel, of the messages made in the last 24 hours."""
    states: dict[str, Counter[str]] = {"sms": Counter(), "email": Counter()}
    last_day = HourSpan(now_ms // HOUR_MS - _HOURS + 1, 0, _HOURS)
    for _day, channel, state, count in daily_counts.messages_by_day([last_day], None):
        states[channel][state] += count
    return {channel: failure_rate(group_states(counts)) for channel, counts in states.items()}
