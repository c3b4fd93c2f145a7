"""The settings that are numbers: the price of a segment, the limits of sends, and those of alerts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.settings.rules.retention_settings import MAX_RETENTION_DAYS, MIN_RETENTION_DAYS

PRICE, UNDO, APPROVAL = "SmsPricePerSegment", "SendUndoSeconds", "SendApprovalRecipients"
FAILURE_PERCENT, SEGMENTS_PER_DAY = "AlertFailurePercent", "AlertSegmentsPerDay"
DEFAULT_UNDO_SECONDS, MAX_UNDO_SECONDS = 10, 120
DEFAULT_FAILURE_PERCENT = 5
_PRICE = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?")
_RULES = {
    "price": N_("%(name)s must be a price in dollars above 0 and below 100, such as 0.0079, or empty for no price."),
    "seconds": N_("%(name)s must be a whole number of seconds from 0 to %(limit)s, or empty for %(default)s."),
    "count": N_("%(name)s must be a whole number of people from 1 to %(limit)s, or empty for no approval."),
    "days": N_("%(name)s must be a whole number of days from %(least)s to %(limit)s, or empty to keep everything."),
    "percent": N_("%(name)s must be a whole number of percent from 1 to %(limit)s, or empty for %(default)s."),
    "segments": N_("%(name)s must be a whole number of segments from 1 to %(limit)s, or empty for no budget."),
}
_RANGES = {
    "price": (0, 100),
    "seconds": (0, MAX_UNDO_SECONDS),
    "count": (1, 10_000_000),
    "days": (MIN_RETENTION_DAYS, MAX_RETENTION_DAYS),
    "percent": (1, 100),
    "segments": (1, 100_000_000),
}
_DEFAULTS = {"seconds": DEFAULT_UNDO_SECONDS, "percent": DEFAULT_FAILURE_PERCENT}
NUMBER_KINDS = frozenset(_RULES)


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


def parse_number(kind: str, text: str) -> str | int | None:
    """The stored value: a price stays decimal text, and empty text is None. Raises `ValueError`."""
    if not text:
        return None
    if kind == "price":
        if not _PRICE.fullmatch(text) or not Decimal(text):
            raise ValueError(text)
        return format(Decimal(text).normalize(), "f")
    smallest, largest = _RANGES[kind]
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(largest))):
        raise ValueError(text)
    if not smallest <= int(text) <= largest:
        raise ValueError(text)
    return int(text)


def number_rule(name: str, kind: str) -> str:
    """What a valid value is, as a sentence."""
    least, limit = _RANGES[kind]
    return _(_RULES[kind], name=name, least=least, limit=limit, default=_DEFAULTS.get(kind, ""))
