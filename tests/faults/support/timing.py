"""The short and the long form of the fault tests: timeouts, and attempts whose timing went wrong."""

import os
import time

LONG_RUN = os.environ.get("FAULTS") == "long"
TIMEOUT_SECONDS, LEASE_SECONDS, SETTLE_SECONDS, MAINTENANCE_SECONDS = (
    (1.0, 3.0, 4.0, 0.5) if LONG_RUN else (0.7, 1.6, 2.0, 0.5)
)


class MissedTiming(Exception):
    """The test acted too late, so this attempt proves nothing."""


def require_timing(holds: bool) -> None:
    """Raises `MissedTiming` unless `holds`."""
    if not holds:
        raise MissedTiming


def now_ms() -> int:
    return time.time_ns() // 1_000_000
