"""Pause and resume lanes, with an entry in the audit log."""

from collections.abc import Collection

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.messages.rules.lane_labels import CHANNELS, LANE_NAMES, lane_key
from portal.messages.tables import lane_state


def pause_lane(channel: str, lane: int, actor_id: int | None, now_ms: int) -> None:
    """Takes effect within a second. Raises `ActionRefused` for an unknown lane."""
    _change_lanes(channel, [lane], "lane_paused", actor_id, now_ms)


def resume_lane(channel: str, lane: int, actor_id: int | None, now_ms: int) -> None:
    _change_lanes(channel, [lane], "lane_resumed", actor_id, now_ms)


def pause_all_lanes(actor_id: int | None, now_ms: int) -> None:
    for channel in CHANNELS:
        _change_lanes(channel, LANE_NAMES, "lane_paused", actor_id, now_ms)


def resume_all_lanes(actor_id: int | None, now_ms: int) -> None:
    for channel in CHANNELS:
        _change_lanes(channel, LANE_NAMES, "lane_resumed", actor_id, now_ms)


def _change_lanes(channel: str, lanes: Collection[int], action: str, actor_id: int | None, now_ms: int) -> None:
    if channel not in CHANNELS or any(lane not in LANE_NAMES for lane in lanes):
        raise ActionRefused(_("There is no such lane."))
    paused_at_ms, paused_by_id = (now_ms, actor_id) if action == "lane_paused" else (None, None)
    with transaction():
        for lane in lanes:
            if lane_state.set_paused(channel, lane, paused_at_ms, paused_by_id):
                audit_log.record_audit_entry(action, lane_key(channel, lane), actor_id, now_ms)
    queue.enqueue(settings().redis_url, f"drain_{channel}")
