"""When the last text leaves: what is ahead, at the pace in force."""

from portal.actions import settings as app_settings
from portal.domain.pacing import seconds_to_leave
from portal.models.gateway import next_free_us
from portal.models.progress import waiting_segments


def end_of_new_ms(segments: int, now_ms: int) -> int | None:
    """When so many more segments would have left, behind all that waits already; None when there are none."""
    return lane_end_ms(segments + waiting_segments(), now_ms) if segments else None


def lane_end_ms(segments: int, now_ms: int) -> int | None:
    """When the first so many waiting segments will have left; None when there is no gateway to leave by."""
    sender = app_settings.gateway().sender
    if not segments or sender is None:
        return None
    taken_us = next_free_us(sender.key) - now_ms * 1000
    return now_ms + max(1_000, round(1000 * seconds_to_leave(segments, sender.segments_per_second, taken_us)))
