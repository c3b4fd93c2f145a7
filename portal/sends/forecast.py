"""Forecast when the last text of a send leaves, given the other sends and the current rate."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from portal.content.tables.templates import TemplateVersion
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.quiet_hours import QuietHours
from portal.core.rules.routing import Mode
from portal.gateways.rules.provider_codes import ProviderCode, explain_error_code
from portal.gateways.rules.provider_schema import SenderSettings
from portal.messages.tables import delivery_counts, lane_state
from portal.sends.deferred_texts import configured_quiet_hours
from portal.sends.provider_availability import is_provider_down, missing_process_kinds
from portal.sends.rules import completion_forecast
from portal.sends.rules.completion_forecast import EMPTY_BACKLOG, Backlog, BlockReason, LaneContext
from portal.sends.tables.sends import ACTIVE_STATES, FANNING_OUT_STATES, Send, active_sends, sms_expires_at_ms
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.tables.sending_numbers import SendingNumber, find_sender


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
    deferred: int = 0
    quiet_hours: QuietHours | None = None
    sms_expires_at_ms: int | None = None
    expired_count: int = 0
    exhausted_limit: ProviderCode | None = None
    limit_resets_at_ms: int = 0


@dataclass(frozen=True)
class Traffic:
    """All texts that have not left yet. `senders` maps keys to rows, `backlogs` ids of running sends to backlogs."""

    gateway: GatewayConfig
    senders: Mapping[str, SendingNumber | None]
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
        lane = Lane.URGENT if version.urgent else Lane.BULK
        expires_at_ms = sms_expires_at_ms(version, self.now_ms)
        return self._forecast(backlog, lane, 0, self._block_reason(lane, False), self.now_ms, expires_at_ms)

    def forecast_send(self, send: Send) -> Forecast | None:
        """For an existing send; None if all its texts have left."""
        is_paused = send.paused_at_ms is not None
        backlog = (_backlogs_of([send]) if is_paused else self.backlogs).get(send.id, EMPTY_BACKLOG)
        expires_at_ms = sms_expires_at_ms(send.version, send.created_at_ms)
        block_reason = self._block_reason(send.lane, is_paused)
        return self._forecast(backlog, send.lane, send.id, block_reason, send.created_at_ms, expires_at_ms)

    def current_share(self, send: Send) -> float:
        """The send's share of all texts that leave now."""
        if send.id not in self.backlogs or send.lane not in self.running_lanes:
            return 0.0
        is_urgent_first = Lane.URGENT in self.running_lanes and self._lane_backlog(Lane.URGENT).texts
        if send.lane != (Lane.URGENT if is_urgent_first else Lane.BULK):
            return 0.0
        return 1 / (1 + len(self._concurrent_backlogs(send.lane, send.id)))

    def _forecast(
        self,
        backlog: Backlog,
        lane: int,
        send_id: int,
        block: BlockReason | None,
        created_ms: int,
        expires_ms: int | None,
    ) -> Forecast | None:
        if not backlog.texts:
            return None
        context, rate, limited = self._lane_context(lane, send_id), self._segments_per_second, self._limited_sender
        workload = (backlog, context, rate, self.now_ms, expires_ms)
        estimate = None if block else completion_forecast.estimate_completion(*workload)
        return Forecast(
            texts=backlog.texts,
            segments=round(backlog.segments),
            segments_per_second=rate,
            urgent_segments=round(context.urgent_backlog.segments),
            interleaved_segments=round(completion_forecast.interleaved_segments(backlog, context.concurrent_backlogs)),
            concurrent_sends=len(context.concurrent_backlogs),
            block_reason=block,
            last_text_at_ms=estimate.last_text_at_ms if estimate else None,
            is_late=estimate is not None and completion_forecast.is_late(estimate.last_text_at_ms, created_ms),
            deferred=backlog.deferred,
            quiet_hours=context.quiet_hours,
            sms_expires_at_ms=expires_ms,
            expired_count=estimate.expired_count if estimate else 0,
            exhausted_limit=explain_error_code(limited.limit_code) if limited else None,
            limit_resets_at_ms=limited.limit_resets_at_ms if limited else 0,
        )

    @property
    def _limited_sender(self) -> SendingNumber | None:
        """The sending number whose limit resets last, if any limit is exhausted."""
        limited = [row for row in self.senders.values() if row is not None and row.limit_resets_at_ms > self.now_ms]
        return max(limited, key=lambda row: row.limit_resets_at_ms, default=None)

    @property
    def _segments_per_second(self) -> float:
        """The busiest sending number limits the overall rate."""
        return self.gateway.sender.segments_per_second / self.busiest_sender_share if self.gateway.sender else 0.0

    def _busy_us(self) -> int:
        """How long the sending numbers are busy, on average; until the limit resets if one is exhausted."""
        if self._limited_sender is not None:
            return (self._limited_sender.limit_resets_at_ms - self.now_ms) * 1000
        now_us = self.now_ms * 1000
        rows = self.senders.values()
        busy_until_us = [max(row.next_free_at_us, row.retry_at_us, now_us) if row else now_us for row in rows]
        return sum(busy_until_us) // len(busy_until_us) - now_us if busy_until_us else 0

    def _lane_context(self, lane: int, send_id: int) -> LaneContext:
        urgent = self.unattached_backlog if lane == Lane.URGENT else self._lane_backlog(Lane.URGENT)
        return LaneContext(
            urgent_backlog=urgent if Lane.URGENT in self.running_lanes else EMPTY_BACKLOG,
            concurrent_backlogs=self._concurrent_backlogs(lane, send_id),
            busy_us=self._busy_us(),
            quiet_hours=self.quiet_hours if lane == Lane.BULK else None,
        )

    def _concurrent_backlogs(self, lane: int, send_id: int) -> tuple[Backlog, ...]:
        sends = [self.sends[other_id] for other_id in self.backlogs if other_id != send_id]
        return tuple(self.backlogs[send.id] for send in sends if send.lane == lane)

    def _lane_backlog(self, lane: int) -> Backlog:
        unattached = self.unattached_backlog if lane == Lane.URGENT else EMPTY_BACKLOG
        return sum(self._concurrent_backlogs(lane, 0), unattached)

    def _block_reason(self, lane: int, is_send_paused: bool) -> BlockReason | None:
        paused_senders = [row for row in self.senders.values() if row is not None and row.paused_reason]
        conditions = {
            BlockReason.SMS_OFF: not self.gateway.switches.feature_on,
            BlockReason.NOT_CONFIGURED: self.gateway.send_route is None,
            BlockReason.SEND_PAUSED: is_send_paused,
            BlockReason.LANE_PAUSED: lane not in self.running_lanes,
            BlockReason.SENDER_PAUSED: bool(paused_senders) and len(paused_senders) == len(self.senders),
            BlockReason.ONE_OF_SENDERS_PAUSED: bool(paused_senders),
            BlockReason.PROVIDER_UNAVAILABLE: self.is_provider_unavailable,
            BlockReason.NO_WORKER: not self.has_worker,
        }
        return next((reason for reason, applies in conditions.items() if applies), None)


def current_traffic(now_ms: int) -> Traffic:
    gateway = app_settings.resolve_current_gateway(now_ms)
    sender_keys = gateway.sender.sender_assignment.sender_keys if gateway.sender else ()
    sends = active_sends()
    running = _backlogs_of([send for send in sends if send.paused_at_ms is None])
    backlogs = {send_id: backlog for send_id, backlog in running.items() if backlog.texts}
    hours = configured_quiet_hours() if gateway.switches.mode is Mode.LIVE else None
    return Traffic(
        gateway=gateway,
        senders={key: find_sender(key) for key in sender_keys},
        sends={send.id: send for send in sends},
        busiest_sender_share=_busiest_sender_share(gateway.sender, backlogs),
        backlogs=_with_time_zones(backlogs, hours),
        unattached_backlog=Backlog(*delivery_counts.unattached_texts()),
        running_lanes=lane_state.running_lanes("sms"),
        has_worker="worker:sms" not in missing_process_kinds(now_ms),
        is_provider_unavailable=is_provider_down(sender_keys, now_ms),
        quiet_hours=hours,
        now_ms=now_ms,
    )


def _busiest_sender_share(sender: SenderSettings | None, backlogs: Mapping[int, Backlog]) -> float:
    """From the waiting texts or, if there are none, from the accounts that receive texts."""
    if sender is None or not sender.additional_numbers:
        return 1.0
    interval = delivery_counts.sampling_interval(sum(backlog.texts for backlog in backlogs.values()))
    groups = delivery_counts.senders_of_waiting(list(backlogs), interval) if backlogs else []
    return sender.sender_assignment.largest_share(groups or delivery_counts.senders_of_enabled())


def _with_time_zones(backlogs: Mapping[int, Backlog], hours: QuietHours | None) -> dict[int, Backlog]:
    """The backlogs with the time zones of their recipients, if there are quiet hours."""
    ids_by_interval: dict[int, list[int]] = defaultdict(list)
    for send_id, backlog in backlogs.items():
        ids_by_interval[delivery_counts.sampling_interval(backlog.texts)].append(send_id)
    zones: dict[int, dict[str, int]] = {}
    for interval, send_ids in ids_by_interval.items() if hours else ():
        zones |= delivery_counts.waiting_time_zones(send_ids, interval)
    return {send_id: replace(backlog, zones=zones.get(send_id, {})) for send_id, backlog in backlogs.items()}


def _backlogs_of(sends: list[Send]) -> dict[int, Backlog]:
    """Send id to its texts that are waiting, paused or not created yet, for active sends."""
    states = delivery_counts.text_states([send.id for send in sends])
    return {send.id: _backlog(send, states.get(send.id, {})) for send in sends if send.state in ACTIVE_STATES}


def _backlog(send: Send, states: Mapping[str, int]) -> Backlog:
    waiting = sum(states.get(state, 0) for state in WAITING)
    if send.state in FANNING_OUT_STATES:
        created = sum(count for state, count in states.items() if state != DeliveryState.SKIPPED)
        waiting += max(0, (send.planned_texts or 0) - created)
    if not waiting:
        return EMPTY_BACKLOG
    segments = waiting * delivery_counts.average_segments(send.id)
    return Backlog(waiting, segments, deferred=states.get(DeliveryState.DEFERRED, 0))
