"""Whom a schedule goes to at one moment."""

from collections.abc import Mapping
from typing import Any

from portal.schedules.tables.schedules import Schedule
from portal.sends.audience_resolution import resolve_audience


def run_audience(schedule: Schedule, now_ms: int) -> Mapping[str, Any]:
    """Its audience as a send would keep it if it were made now: a saved one as it is defined now."""
    return resolve_audience(schedule.audience, now_ms)
