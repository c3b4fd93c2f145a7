"""Pause and resume lanes, with an entry in the audit log."""

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.messages.rules.lane_labels import CHANNELS, LANE_NAMES, lane_key
from portal.messages.tables import lane_state


def pause_lane(channel: str, lane: int, actor_id: int | None, now_ms: int) -> None:
    """Takes effect within a second. Raises `ActionRefused` for an unknown lane."""
    _set_lanes_paused(channel, [lane], now_ms, actor_id, now_ms)


def resume_lane(channel: str, lane: int, actor_id: int | None, now_ms: int) -> None:
    _set_lanes_paused(channel, [lane], None, actor_id, now_ms)


def pause_all_lanes(actor_id: int | None, now_ms: int) -> None:
    for channel in CHANNELS:
        _set_lanes_paused(channel, list(LANE_NAMES), now_ms, actor_id, now_ms)


def resume_all_lanes(actor_id: int | None, now_ms: int) -> None:
    for channel in CHANNELS:
        _set_lanes_paused(channel, list(LANE_NAMES), None, actor_id, now_ms)


def _set_lanes_paused(
    channel: str, lanes: list[int], paused_at_ms: int | None, actor_id: int | None, now_ms: int
) -> None:
    if channel not in CHANNELS or any(lane not in LANE_NAMES for lane in lanes):
        raise ActionRefused("There is no such lane.")
    action = "lane_resumed" if paused_at_ms is None else "lane_paused"
    with transaction():
        for lane in lanes:
            if lane_state.set_paused(channel, lane, paused_at_ms, actor_id if paused_at_ms else None):
                audit_log.record_audit_entry(action, lane_key(channel, lane), actor_id, now_ms)
    queue.enqueue(settings().redis_url, f"drain_{channel}")
