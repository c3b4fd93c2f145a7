"""Which overdue runs are still sent, and why others are not."""

from dataclasses import dataclass

from portal.schedules.rules import schedule_states

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
ON_TIME_MS = 10 * MINUTE_MS
"""A run that begins within this time is on time, also if late runs are to be skipped."""


@dataclass(frozen=True)
class LatePolicy:
    """Runs due by `active_from_ms` are never sent, nor are those more than `late_hours` late."""

    active_from_ms: int
    late_hours: int

    def send_after_ms(self, now_ms: int) -> int:
        """Runs that were due then or earlier are not sent."""
        return max(self.active_from_ms, now_ms - self._tolerance_ms)

    def deadline_ms(self, due_at_ms: int) -> int:
        """The last moment at which a run is still sent."""
        return due_at_ms + self._tolerance_ms - 1

    @property
    def retry_ms(self) -> int:
        """After how long a run that failed is tried again: while it is not too late."""
        return min(HOUR_MS, self._tolerance_ms // 2)

    @property
    def _tolerance_ms(self) -> int:
        return max(self.late_hours * HOUR_MS, ON_TIME_MS)

    def missed_reason(self, due_at_ms: int, now_ms: int) -> str:
        """ "" if the run is still sent."""
        if due_at_ms > self.send_after_ms(now_ms):
            return ""
        return schedule_states.NOT_ACTIVE if due_at_ms <= self.active_from_ms else schedule_states.TOO_LATE
