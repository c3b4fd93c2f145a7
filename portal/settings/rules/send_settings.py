"""The settings of sends that are numbers: the price of a segment, the time to undo, and when approval is needed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portal.core.translation import N_
from portal.core.translation import gettext as _

PRICE, UNDO, APPROVAL = "SmsPricePerSegment", "SendUndoSeconds", "SendApprovalRecipients"
DEFAULT_UNDO_SECONDS, MAX_UNDO_SECONDS = 10, 120
_MAX_RECIPIENTS = 10_000_000
_PRICE = re.compile(r"[0-9]{1,2}(\.[0-9]{1,6})?")
_RULES = {
    "price": N_("%(name)s must be a price in dollars above 0 and below 100, such as 0.0079, or empty for no price."),
    "seconds": N_("%(name)s must be a whole number of seconds from 0 to %(limit)s, or empty for %(default)s."),
    "count": N_("%(name)s must be a whole number of people from 1 to %(limit)s, or empty for no approval."),
}
NUMBER_KINDS = frozenset(_RULES)


@dataclass(frozen=True)
class SendSettings:
    """`price_per_segment` is in US dollars. A send to more than `approval_recipients` needs approval; None: no send."""

    price_per_segment: Decimal | None
    undo_seconds: int
    approval_recipients: int | None

    def needs_approval(self, recipients: int) -> bool:
        return self.approval_recipients is not None and recipients > self.approval_recipients


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
    smallest, largest = (0, MAX_UNDO_SECONDS) if kind == "seconds" else (1, _MAX_RECIPIENTS)
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(largest))):
        raise ValueError(text)
    if not smallest <= int(text) <= largest:
        raise ValueError(text)
    return int(text)


def number_rule(name: str, kind: str) -> str:
    """What a valid value is, as a sentence."""
    limit = MAX_UNDO_SECONDS if kind == "seconds" else _MAX_RECIPIENTS
    return _(_RULES[kind], name=name, limit=limit, default=DEFAULT_UNDO_SECONDS)
