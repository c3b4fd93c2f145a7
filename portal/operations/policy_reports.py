"""Count what browsers report about the content security policy, which anybody can send and nobody must believe."""

import time
from collections import Counter, deque
from collections.abc import Sequence
from threading import Lock

import structlog
from flask import current_app

from portal.core.transaction import transaction
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.policy_violations import PolicyViolation, check_violations
from portal.operations.tables import policy_violation_counts

_DAY_MS = 86_400_000
_SHOWN_DAYS, _KEPT_DAYS = 7, 30
_EXTENSION_KEY = "policy reports"
_MAX_WRITES, _WINDOW_SECONDS = 20, 10.0
_log = structlog.get_logger(__name__)


class _ReportLimit:
    """How many reports this process still writes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._written: deque[float] = deque(maxlen=_MAX_WRITES)

    def may_write(self) -> bool:
        """If so, it counts towards the limit."""
        now = time.monotonic()
        with self._lock:
            if len(self._written) == self._written.maxlen and now - self._written[0] < _WINDOW_SECONDS:
                return False
            self._written.append(now)
            return True


def may_record_report() -> bool:
    """False while reports come too fast: those are dropped unread."""
    limit: _ReportLimit = current_app.extensions.setdefault(_EXTENSION_KEY, _ReportLimit())
    return limit.may_write()


def record_violations(violations: Sequence[PolicyViolation], now_ms: int) -> None:
    if not violations:
        return
    with transaction():
        policy_violation_counts.delete_violations_before(now_ms - _KEPT_DAYS * _DAY_MS)
        policy_violation_counts.count_violations(Counter(violations), now_ms)
    _log.warning("content security policy violated", directives=sorted({one.directive for one in violations}))


def check_policy_reports(now_ms: int) -> CheckResult:
    return check_violations(policy_violation_counts.recent_violations(now_ms - _SHOWN_DAYS * _DAY_MS), _SHOWN_DAYS)
