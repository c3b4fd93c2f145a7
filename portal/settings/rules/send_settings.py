"""The settings that are numbers: the price of a segment, the limits of sends, and those of alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

PRICE, UNDO, APPROVAL = "SmsPricePerSegment", "SendUndoSeconds", "SendApprovalRecipients"
FAILURE_PERCENT, SEGMENTS_PER_DAY = "AlertFailurePercent", "AlertSegmentsPerDay"
DEFAULT_UNDO_SECONDS, DEFAULT_FAILURE_PERCENT = 10, 5


@dataclass(frozen=True)
class SendSettings:
    """`price_per_segment` is in US dollars. A send to more than `approval_recipients` needs approval; None: no send."""

    price_per_segment: Decimal | None
    undo_seconds: int
    approval_recipients: int | None

    def needs_approval(self, recipients: int) -> bool:
        return self.approval_recipients is not None and recipients > self.approval_recipients


@dataclass(frozen=True)
class AlertLimits:
    """No alert about segments if there is no budget."""

    failure_percent: int
    segments_per_day: int | None


def alert_limits(values: Mapping[str, Any]) -> AlertLimits:
    percent = values.get(FAILURE_PERCENT)
    return AlertLimits(DEFAULT_FAILURE_PERCENT if percent is None else percent, values.get(SEGMENTS_PER_DAY))


def send_settings(values: Mapping[str, Any]) -> SendSettings:
    price, seconds = values.get(PRICE), values.get(UNDO)
    return SendSettings(
        price_per_segment=None if price is None else Decimal(price),
        undo_seconds=DEFAULT_UNDO_SECONDS if seconds is None else seconds,
        approval_recipients=values.get(APPROVAL),
    )
