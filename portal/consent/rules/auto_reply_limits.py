"""How often a handset is answered: two machines that answer each other come to an end."""

from collections.abc import Sequence

MIN_REPEAT_INTERVAL_MS = 600_000
"""Ten minutes: whoever says the same word before that has the answer already."""
DAY_MS = 86_400_000
MAX_REPLIES_PER_DAY = 5
"""A machine may take longer than ten minutes for its part."""

REPEATED_TOO_SOON, TOO_OFTEN = "duplicate_welcome", "too_often"
STOPPED_ALREADY, NOT_LIVE, SENT_BY_PROVIDER = "stopped_already", "not_live", "by_provider"

NO_REPLY_LABELS = {
    REPEATED_TOO_SOON: "Not answered: the same answer went to the phone less than 10 minutes before.",
    TOO_OFTEN: f"Not answered: the same answer went to the phone {MAX_REPLIES_PER_DAY} times within a day.",
    STOPPED_ALREADY: "Not answered: the number was opted out already, and one text only may follow a STOP.",
    NOT_LIVE: "Not answered by us: answers leave only while texts go to people’s own phones.",
    SENT_BY_PROVIDER: "Not answered by us: the gateway answers this word by itself.",
}
"""Why a word that may have an answer got none, a sentence each."""


def repeat_refusal(answered_ms: Sequence[int], now_ms: int) -> str:
    """Why the same is not said once more; empty when it is. `answered_ms` are the times when it was said."""
    if any(now_ms - at_ms < MIN_REPEAT_INTERVAL_MS for at_ms in answered_ms):
        return REPEATED_TOO_SOON
    return TOO_OFTEN if sum(now_ms - at_ms < DAY_MS for at_ms in answered_ms) >= MAX_REPLIES_PER_DAY else ""
