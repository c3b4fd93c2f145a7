"""Limits on automatic replies, so that two machines that answer each other stop (docs/consent-rules.md#answers)."""

from collections.abc import Sequence

from portal.core.translation import N_

MIN_REPEAT_INTERVAL_MS = 600_000
DAY_MS = 86_400_000
MAX_REPLIES_PER_DAY = 5

REPEATED_TOO_SOON, TOO_OFTEN = "too_soon", "too_often"
STOPPED_ALREADY, NOT_LIVE, SENT_BY_PROVIDER = "stopped_already", "not_live", "by_provider"

NO_REPLY_LABELS = {
    REPEATED_TOO_SOON: N_("Not answered: this phone got the same reply less than 10 minutes earlier."),
    TOO_OFTEN: N_("Not answered: this phone got the same reply five times within a day."),
    STOPPED_ALREADY: N_("Not answered: the number was already opted out, and only one text may follow a STOP."),
    NOT_LIVE: N_("Not answered by the portal: it replies only while texts go to people’s own phones."),
    SENT_BY_PROVIDER: N_("Not answered by the portal: the gateway answers this keyword itself."),
}
"""Why a keyword was not answered, one sentence for each reason."""


def repeat_refusal(reply_times_ms: Sequence[int], now_ms: int) -> str:
    """Return why the same reply must not be sent again, or "" if it may. `reply_times_ms` says when it was sent."""
    if any(now_ms - at_ms < MIN_REPEAT_INTERVAL_MS for at_ms in reply_times_ms):
        return REPEATED_TOO_SOON
    replies_today = sum(now_ms - at_ms < DAY_MS for at_ms in reply_times_ms)
    return TOO_OFTEN if replies_today >= MAX_REPLIES_PER_DAY else ""
