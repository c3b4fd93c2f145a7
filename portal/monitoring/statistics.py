"""The numbers of the dashboard: those of today and yesterday from the totals, those of the days before from a cache.

States of older messages hardly change. The scheduler renews the cache every few minutes, so pages stay fast however
many sends there were; without a scheduler, a page renews it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from portal.consent.rules.consent_state import EventKind
from portal.core.rules.time_zones import timezone_or_utc
from portal.core.transaction import transaction
from portal.monitoring.rules.day_hours import DayHours, hour_spans, last_days, last_months
from portal.monitoring.tables import daily_counts, statistic_cache
from portal.monitoring.tables.statistic_cache import StatisticCache

DAYS, MONTHS = 90, 3
CONSENT_KINDS = (EventKind.INVITED, EventKind.START, EventKind.OPT_IN, EventKind.STOP)
_LIVE_DAYS = 2
_RENEW_AFTER_MS, _STALE_AFTER_MS = 300_000, 1_200_000
_USED_MS, _MARK_AFTER_MS = 2 * 86_400_000, 6 * 3_600_000
"""Zones of people who looked lately are kept up to date; that somebody looked is written down once in a while."""


@dataclass(frozen=True)
class Statistics:
    """Counts of `messages` by number of the day, channel and state, of `events` by number of the day and kind, and
    `segments` by name of the template and number of the month.
    """

    days: DayHours
    months: DayHours
    messages: Mapping[tuple[int, str, str], int]
    events: Mapping[tuple[int, str], int]
    segments: Mapping[tuple[str, int], int]


def load_statistics(now_ms: int, zone: ZoneInfo) -> Statistics:
    days, months = last_days(now_ms, zone, DAYS), last_months(now_ms, zone, MONTHS)
    older = _older_counts(days, months, zone.key, now_ms)
    live = _count(days, months, since=DAYS - _LIVE_DAYS)
    added = [_add(older[name], live[name]) for name in ("messages", "events", "segments")]
    return Statistics(days, months, *added)


def renew_statistics(now_ms: int) -> None:
    """For the zones that somebody has looked at lately."""
    for key in statistic_cache.zones_used_since(now_ms - _USED_MS):
        zone = timezone_or_utc(key)
        days = last_days(now_ms, zone, DAYS)
        cache = statistic_cache.find_cache(key)
        if cache and not _is_valid(cache, days, now_ms, _RENEW_AFTER_MS):
            _renew(days, last_months(now_ms, zone, MONTHS), key, now_ms, cache.used_at_ms)


def _older_counts(days: DayHours, months: DayHours, zone: str, now_ms: int) -> Mapping[str, Any]:
    cache = statistic_cache.find_cache(zone)
    if cache is None or not _is_valid(cache, days, now_ms, _STALE_AFTER_MS):
        return _renew(days, months, zone, now_ms, now_ms)
    value: Mapping[str, Any] = cache.value
    if cache.used_at_ms < now_ms - _MARK_AFTER_MS:
        with transaction():
            statistic_cache.mark_used(zone, now_ms)
    return value


def _is_valid(cache: StatisticCache, days: DayHours, now_ms: int, max_age_ms: int) -> bool:
    return cache.day == days.days[-1].isoformat() and now_ms - cache.computed_at_ms < max_age_ms


def _renew(days: DayHours, months: DayHours, zone: str, now_ms: int, used_at_ms: int) -> Mapping[str, Any]:
    value = _count(days, months, until=DAYS - _LIVE_DAYS)
    with transaction():
        statistic_cache.store_cache(zone, days.days[-1].isoformat(), value, now_ms, used_at_ms)
    return value


def _count(days: DayHours, months: DayHours, since: int = 0, until: int | None = None) -> dict[str, list[list[Any]]]:
    """Of the days with these numbers, as rows of keys and a count: JSON has no tuples as keys."""
    spans = hour_spans(days.first_hours[since:until], since)
    until_hour = None if until is None else days.first_hours[until]
    first_month_hour = months.since_hour if not since else days.first_hours[since]
    return {
        "messages": daily_counts.messages_by_day(spans, until_hour),
        "events": daily_counts.consent_by_day(CONSENT_KINDS, spans, until_hour),
        "segments": daily_counts.segments_by_template(months.first_hours, first_month_hour, until_hour),
    }


def _add(*counts: list[list[Any]]) -> Counter[Any]:
    total = Counter[Any]()
    for rows in counts:
        for *key, count in rows:
            total[tuple(key)] += count
    return total
