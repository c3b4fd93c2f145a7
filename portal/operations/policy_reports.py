"""Count what browsers report about the content security policy, which anybody can send and nobody must believe."""

from collections import Counter
from collections.abc import Sequence

import structlog
from flask import current_app

from portal.core.transaction import transaction
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.policy_violations import PolicyViolation, check_violations
from portal.operations.tables import policy_violation_counts
from portal.operations.write_limit import WriteLimit

_DAY_MS = 86_400_000
_SHOWN_DAYS, _KEPT_DAYS = 7, 30
_EXTENSION_KEY = "policy reports"
_MAX_WRITES, _WINDOW_SECONDS = 20, 10.0
_log = structlog.get_logger(__name__)


def may_record_report() -> bool:
    """False while reports come too fast: those are dropped unread."""
    new = WriteLimit(_MAX_WRITES, _WINDOW_SECONDS)
    limit: WriteLimit = current_app.extensions.setdefault(_EXTENSION_KEY, new)
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
