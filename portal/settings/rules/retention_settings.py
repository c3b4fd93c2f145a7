"""For how many days each kind of record is kept. Without a number it is kept for good."""

from collections.abc import Mapping
from typing import Any

RETENTION_SETTINGS = {
    "bodies": "RetentionBodiesDays",
    "events": "RetentionEventsDays",
    "deliveries": "RetentionDeliveriesDays",
    "inbound": "RetentionInboundDays",
    "audit": "RetentionAuditDays",
}
"""The setting of each kind of record (`records.rules.retention_kinds`)."""
MIN_RETENTION_DAYS, MAX_RETENTION_DAYS = 30, 36_500
"""Reconciliation, receipts and Twilio's list of inbound texts reach back less than a month."""


def retention_days(values: Mapping[str, Any]) -> dict[str, int]:
    """The days of each kind that is not kept for good."""
    days = {kind: values.get(name) for kind, name in RETENTION_SETTINGS.items()}
    return {kind: number for kind, number in days.items() if number is not None}
