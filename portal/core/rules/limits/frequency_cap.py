"""The most texts that one phone number gets in 24 hours (docs/consent-rules.md#frequency-cap)."""

from portal.core.rules.limits.quiet_hours import OFF
from portal.core.rules.routing import Mode, TextKind

DEFAULT_FREQUENCY_CAP, MAX_CAP = "3", 100
CAP_WINDOW_MS = 86_400_000


def parse_frequency_cap(text: str) -> int | None:
    """None for no cap. Raises `ValueError` unless the text is "off" or a number from 1 to `MAX_CAP`."""
    text = text.strip()
    if text.lower() == OFF:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_CAP)) and 1 <= int(text) <= MAX_CAP):
        raise ValueError(text)
    return int(text)


def is_subject_to_cap(kind: str, urgent: bool, mode: Mode) -> bool:
    """Only notifications that can wait are counted and held back: answers were asked for."""
    return kind == TextKind.NOTIFICATION and not urgent and mode is Mode.LIVE
