"""Forecast when the last text of a send leaves, given the other sends and the current rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from portal.content.tables.templates import TemplateVersion
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.limits.quiet_hours import Place, QuietHours
from portal.core.rules.routing import Mode
from portal.gateways.rules.provider_codes import ProviderCode, explain_error_code
from portal.messages.tables import delivery_counts, lane_state, text_frequency
from portal.sends.provider_availability import is_provider_down, missing_process_kinds
from portal.sends.rules.completion_forecast import (
    EMPTY_BACKLOG,
    LATE_AFTER_MS,
    Backlog,
    BlockReason,
    estimate_completion,
    interleaved_segments,
)
from portal.sends.tables.sends import FANNING_OUT_STATES, Send, active_sends, sms_expires_at_ms
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.tables.sending_numbers import SendingNumber, find_sender

_SAMPLE_VALIDITY_MS = 30_000
_MAX_READ_EACH_TIME = 2_000
"""Pages ask every few seconds; to read more waiting texts for each answer would cost more than the answer is worth."""


@dataclass(frozen=True)
class Forecast:
    """The texts of a send that have not left yet. Segments are estimated from a sample if there are many texts.

    `urgent_segments` leave first; `interleaved_segments` of `concurrent_sends` take turns with this send. `deferred`
    texts wait for the end of quiet hours, and `expired_count` would leave after `sms_expires_at_ms`, so they are not
    sent. If a sending number has an `exhausted_limit`, the forecast starts at `limit_resets_at_ms`.
    """

    texts: int
    segments: int
    segments_per_second: float
    urgent_segments: int
    interleaved_segments: int
    concurrent_sends: int
    block_reason: BlockReason | None
    last_text_at_ms: int | None
    is_late: bool
    deferred: int
    quiet_hours: QuietHours | None
    sms_expires_at_ms: int | None
    expired_count: int
    exhausted_limit: ProviderCode | None
    limit_resets_at_ms: int


@dataclass(frozen=True)
class Traffic:
    """All texts that have not left yet: of the active sends, by id, and those without a send, which are urgent."""

    gateway: GatewayConfig
    senders: list[SendingNumber]
    busiest_sender_share: float
    sends: Mapping[int, Send]
    backlogs: Mapping[int, Backlog]
    unattached_backlog: Backlog
    running_lanes: tuple[int, ...]
    has_worker: bool
    is_provider_unavailable: bool
    quiet_hours: QuietHours | None
    now_ms: int

    def forecast_new_send(self, version: TemplateVersion, backlog: Backlog) -> Forecast | None:
        """For a send that would start now; None if it has no texts."""
        return self._forecast(version, backlog, self.now_ms, None)

    def forecast_send(self, send: Send) -> Forecast | None:
        """For an existing send; None if all its texts have left."""
        return self._forecast(send.version, self.backlogs.get(send.id, EMPTY_BACKLOG), send.begins_at_ms, send)

    def current_share(self, send: Send) -> float:
        """The send's share of all texts that leave now."""
        competitors = [other.id for other in self._running_sends(send.lane)]
        if send.id not in competitors or (send.lane == Lane.BULK and self._urgent_segments(Lane.BULK)):
            return 0.0
        return 1 / len(competitors)

    def _forecast(
        self, version: TemplateVersion, backlog: Backlog, starts_at_ms: int, send: Send | None
    ) -> Forecast | None:
        if not backlog.texts:
            return None
        lane = Lane.URGENT if version.urgent else Lane.BULK
        others = [self.backlogs[other.id] for other in self._running_sends(lane) if other is not send]
        urgent_segments, rate = self._urgent_segments(lane), self._segments_per_second()
        hours = self.quiet_hours if lane == Lane.BULK else None
        expires_at_ms, block_reason = sms_expires_at_ms(version, starts_at_ms), self._block_reason(lane, send)
        last_text_at_ms, expired = None, 0.0
        if not block_reason:
            begins_ms = self._free_at_ms() + urgent_segments * 1000 / rate
            last_text_at_ms, expired = estimate_completion(backlog, others, rate, begins_ms, hours, expires_at_ms)
        limited = self._limited_sender()
        return Forecast(
            texts=backlog.texts,
            segments=round(backlog.segments),
            segments_per_second=rate,
            urgent_segments=round(urgent_segments),
            interleaved_segments=round(interleaved_segments(backlog, others)),
            concurrent_sends=len(others),
            block_reason=block_reason,
            last_text_at_ms=None if last_text_at_ms is None else round(last_text_at_ms),
            is_late=last_text_at_ms is not None and last_text_at_ms > starts_at_ms + LATE_AFTER_MS,
            deferred=backlog.deferred,
            quiet_hours=hours,
            sms_expires_at_ms=expires_at_ms,
            expired_count=round(expired),
            exhausted_limit=explain_error_code(limited.limit_code) if limited else None,
            limit_resets_at_ms=limited.limit_resets_at_ms if limited else 0,
        )

    def _running_sends(self, lane: int) -> list[Send]:
        """The sends that share the lane now."""
        sends = self.sends.values() if lane in self.running_lanes else ()
        return [send for send in sends if send.lane == lane and not send.paused_at_ms and self.backlogs[send.id].texts]

    def _urgent_segments(self, lane: int) -> float:
        """Segments that leave before any send in this lane: texts without a send and, before bulk, urgent sends."""
        if Lane.URGENT not in self.running_lanes:
            return 0.0
        urgent_sends = self._running_sends(Lane.URGENT) if lane == Lane.BULK else []
        return sum(self.backlogs[send.id].segments for send in urgent_sends) + self.unattached_backlog.segments

    def _segments_per_second(self) -> float:
        """The busiest sending number limits the overall rate."""
        return self.gateway.sender.segments_per_second / self.busiest_sender_share if self.gateway.sender else 0.0

    def _limited_sender(self) -> SendingNumber | None:
        """The sending number whose limit resets last, if any limit is exhausted."""
        limited = [row for row in self.senders if row.limit_resets_at_ms > self.now_ms]
        return max(limited, key=lambda row: row.limit_resets_at_ms, default=None)

    def _free_at_ms(self) -> float:
        """When the last sending number is free: it has claimed texts, waits before a retry, or has used up a limit."""
        busy = [max(row.next_free_at_us, row.retry_at_us, row.limit_resets_at_ms * 1000) for row in self.senders]
        return max(self.now_ms, max(busy, default=0) / 1000)

    def _block_reason(self, lane: int, send: Send | None) -> BlockReason | None:
        is_paused = [bool(row.paused_reason) for row in self.senders]
        conditions = {
            BlockReason.SMS_OFF: not self.gateway.switches.feature_on,
            BlockReason.NOT_CONFIGURED: self.gateway.send_route is None,
            BlockReason.SEND_PAUSED: send is not None and send.paused_at_ms is not None,
            BlockReason.LANE_PAUSED: lane not in self.running_lanes,
            BlockReason.SENDER_PAUSED: any(is_paused) and all(is_paused),
            BlockReason.ONE_OF_SENDERS_PAUSED: any(is_paused),
            BlockReason.PROVIDER_UNAVAILABLE: self.is_provider_unavailable,
            BlockReason.NO_WORKER: not self.has_worker,
        }
        return next((reason for reason, applies in conditions.items() if applies), None)


def current_traffic(now_ms: int) -> Traffic:
    gateway = app_settings.resolve_current_gateway(now_ms)
    sender_keys = gateway.sender.sender_assignment.sender_keys if gateway.sender else ()
    hours = gateway.limits.quiet_hours if gateway.switches.mode is Mode.LIVE else None
    sends = {send.id: send for send in active_sends()}
    states = delivery_counts.text_states(list(sends))
    backlogs = {send.id: _backlog(send, states.get(send.id, {}), hours, now_ms) for send in sends.values()}
    if gateway.switches.mode is Mode.LIVE and gateway.limits.frequency_cap:
        _remove_capped(backlogs, gateway.limits.frequency_cap, now_ms)
    return Traffic(
        gateway=gateway,
        senders=[row for key in sender_keys if (row := find_sender(key)) is not None],
        busiest_sender_share=_busiest_sender_share(gateway, backlogs),
        sends=sends,
        backlogs=backlogs,
        unattached_backlog=Backlog(*delivery_counts.unattached_texts()),
        running_lanes=lane_state.running_lanes("sms"),
        has_worker="worker:sms" not in missing_process_kinds(now_ms),
        is_provider_unavailable=is_provider_down(sender_keys, now_ms),
        quiet_hours=hours,
        now_ms=now_ms,
    )


def _busiest_sender_share(gateway: GatewayConfig, backlogs: Mapping[int, Backlog]) -> float:
    """From the waiting texts or, if there are none, from the accounts that receive texts."""
    sender = gateway.sender
    if sender is None or not sender.additional_numbers:
        return 1.0
    interval = delivery_counts.sampling_interval(sum(backlog.texts for backlog in backlogs.values()))
    groups = delivery_counts.senders_of_waiting(list(backlogs), interval) if backlogs else []
    return sender.sender_assignment.largest_share(groups or delivery_counts.senders_of_enabled())


def _backlog(send: Send, states: Mapping[str, int], hours: QuietHours | None, now_ms: int) -> Backlog:
    """The texts of a send that are waiting, paused or not created yet; their places only for quiet hours."""
    waiting = sum(states.get(state, 0) for state in WAITING)
    if send.state in FANNING_OUT_STATES:
        created = sum(count for state, count in states.items() if state != DeliveryState.SKIPPED)
        waiting += max(0, (send.planned_texts or 0) - created)
    if not waiting:
        return EMPTY_BACKLOG
    segments = waiting * delivery_counts.average_segments(send.id)
    places = _places(send.id, waiting, now_ms) if hours else {}
    return Backlog(waiting, segments, places, states.get(DeliveryState.DEFERRED, 0))


def _remove_capped(backlogs: dict[int, Backlog], cap: int, now_ms: int) -> None:
    """Texts beyond the cap take no time. Of large backlogs, the shares are the same for half a minute."""
    waiting = sum(backlog.texts for backlog in backlogs.values())
    interval = delivery_counts.sampling_interval(waiting)
    send_ids = tuple(send_id for send_id, backlog in backlogs.items() if backlog.texts)
    if not send_ids:
        return
    if waiting <= _MAX_READ_EACH_TIME:
        capped = text_frequency.beyond_cap(send_ids, cap, interval, now_ms)
    else:
        capped = _sampled_capped(send_ids, cap, interval, now_ms // _SAMPLE_VALIDITY_MS)
    for send_id, count in capped.items():
        backlogs[send_id] = backlogs[send_id].without(count)


@lru_cache(maxsize=8)
def _sampled_capped(send_ids: tuple[int, ...], cap: int, interval: int, period: int) -> dict[int, int]:
    return text_frequency.beyond_cap(send_ids, cap, interval, period * _SAMPLE_VALIDITY_MS)


def _places(send_id: int, waiting: int, now_ms: int) -> Mapping[Place, int]:
    """Where the recipients of waiting texts are. Of a large send, the shares are the same for half a minute."""
    interval = delivery_counts.sampling_interval(waiting)
    if waiting <= _MAX_READ_EACH_TIME:
        return delivery_counts.waiting_places([send_id]).get(send_id, {})
    return _sampled_places(send_id, interval, now_ms // _SAMPLE_VALIDITY_MS)


@lru_cache(maxsize=32)
def _sampled_places(send_id: int, interval: int, _period: int) -> Mapping[Place, int]:
    return delivery_counts.waiting_places([send_id], interval).get(send_id, {})
