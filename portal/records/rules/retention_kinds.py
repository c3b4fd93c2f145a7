"""What expires, and what never does (ADR 46)."""

from enum import StrEnum

from portal.core.rules.routing import TextKind
from portal.core.translation import N_
from portal.messages.rules.report_conflicts import ReportConflict
from portal.settings.rules.retention_settings import RETENTION_SETTINGS

DAY_MS = 86_400_000
_RUN_AT_MS = 8 * 3_600_000
"""The time of the day, in UTC, at which a run is due: it is night in North America."""
EXPIRING_KINDS = (TextKind.NOTIFICATION, TextKind.TEST, TextKind.ANSWER)
"""Invitations and welcomes are evidence of consent, with when and how they were sent."""
KEPT_ACTIONS = ("account_erased", *ReportConflict)
"""Entries of the audit log that never expire: what was erased, and that a person may have got a text twice."""


class RetentionKind(StrEnum):
    """`unit` says what is counted, of the records that are examined."""

    unit: str

    def __new__(cls, value: str, unit: str) -> "RetentionKind":
        kind = str.__new__(cls, value)
        kind._value_, kind.unit = value, unit
        return kind

    BODIES = "bodies", N_("communications lose their content")
    EVENTS = "events", N_("deliveries lose their history")
    DELIVERIES = "deliveries", N_("communications lose their deliveries")
    INBOUND = "inbound", N_("texts from people lose their words")
    AUDIT = "audit", N_("entries of the audit log are deleted")

    @property
    def setting(self) -> str:
        return RETENTION_SETTINGS[self]


def cutoff_ms(days: int, now_ms: int) -> int:
    """What is older expires."""
    return now_ms - days * DAY_MS


def is_due(finished_at_ms: int | None, now_ms: int) -> bool:
    """Once a day, in the night."""
    latest_start_ms = (now_ms - _RUN_AT_MS) // DAY_MS * DAY_MS + _RUN_AT_MS
    return finished_at_ms is None or finished_at_ms < latest_start_ms
