"""When the last text of a send leaves: what is ahead of it and beside it, at the pace in force."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from portal.content.tables.templates import TemplateVersion
from portal.core.rules.delivery_status import WAITING
from portal.core.rules.lanes import Lane
from portal.core.rules.quiet_hours import QuietHours
from portal.core.rules.routing import Mode
from portal.gateways.rules.provider_codes import ProviderCode, explain_error_code
from portal.gateways.rules.provider_schema import SenderSettings
from portal.messages.tables import delivery_counts, lane_state
from portal.sends.deferred_texts import configured_quiet_hours
from portal.sends.provider_availability import is_provider_down, missing_process_kinds
from portal.sends.rules.completion_forecast import (
    EMPTY_BACKLOG,
    Backlog,
    BlockReason,
    LaneContext,
    estimate_completion,
    interleaved_segments,
    is_late,
)
from portal.sends.tables.sends import ACTIVE_STATES, FANNING_OUT_STATES, Send, active_sends, sms_expires_at_ms
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.tables.sending_numbers import SendingNumber
from portal.settings.tables.sending_numbers import find_sender as sender_at


@dataclass(frozen=True)
class Forecast:
    """Of the texts of a send that have still to leave; of many texts a part is weighed, so segments are about right.

    `ahead` are segments of urgent texts, `shared` those of the `beside` sends that take turns with it meanwhile; `rate`
    is in segments a second. While something `stands` still there is no `last_text_at_ms`. `resting` of the texts wait for
    the end of quiet hours now. `late` would leave after `sms_expires_at_ms`, and so do not. A `limit` that is used up
    keeps texts until `limit_resets_at_ms`, and the forecast begins there.
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
    """All that is to leave by text at one moment.

    `senders` are the numbers in use, by key, and `largest_share` how much of all comes from the busiest of them;
    `loads` are those of the sends under way, but for paused ones.
    """

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

    def forecast_new_send(self, version: TemplateVersion, load: Backlog) -> Forecast | None:
        """For a send that would begin now; None when it makes no text."""
        number = Lane.URGENT if version.urgent else Lane.BULK
        until_ms = sms_expires_at_ms(version, self.now_ms)
        return self._forecast(load, number, 0, self._block_reason(number, False), self.now_ms, until_ms)

    def forecast_send(self, send: Send) -> Forecast | None:
        """For a send that was created; None when none of its texts has still to leave."""
        paused = send.paused_at_ms is not None
        load = backlogs_of([send]).get(send.id, EMPTY_BACKLOG) if paused else self.backlogs.get(send.id, EMPTY_BACKLOG)
        until_ms = sms_expires_at_ms(send.version, send.created_at_ms)
        stands = self._block_reason(lane_of(send), paused)
        return self._forecast(load, lane_of(send), send.id, stands, send.created_at_ms, until_ms)

    def current_share(self, send: Send) -> float:
        """Of all texts that leave now, as long as nothing changes."""
        if send.id not in self.backlogs or lane_of(send) not in self.running_lanes:
            return 0.0
        first = (
            Lane.URGENT if Lane.URGENT in self.running_lanes and self._lane_backlog(Lane.URGENT).texts else Lane.BULK
        )
        return 1 / (1 + len(self._concurrent_backlogs(first, send.id))) if lane_of(send) == first else 0.0

    def _forecast(
        self,
        load: Backlog,
        number: int,
        send_id: int,
        stands: BlockReason | None,
        begun_ms: int,
        sms_expires_at_ms: int | None,
    ) -> Forecast | None:
        """`begun_ms` is from when on the hours count in which a text is of use."""
        if not load.texts:
            return None
        around = self._lane_context(number, send_id)
        found = (
            None
            if stands
            else estimate_completion(load, around, self._segments_per_second, self.now_ms, sms_expires_at_ms)
        )
        return Forecast(
            texts=load.texts,
            segments=round(load.segments),
            segments_per_second=self._segments_per_second,
            urgent_segments=round(around.urgent_backlog.segments),
            interleaved_segments=round(interleaved_segments(load, around.concurrent_backlogs)),
            concurrent_sends=len(around.concurrent_backlogs),
            block_reason=stands,
            last_text_at_ms=found.last_text_at_ms if found else None,
            is_late=found is not None and is_late(found.last_text_at_ms, begun_ms),
            deferred=load.deferred,
            quiet_hours=around.quiet_hours,
            sms_expires_at_ms=sms_expires_at_ms,
            expired_count=found.expired_count if found else 0,
            exhausted_limit=explain_error_code(self._longest_limited_sender.limit_code)
            if self._longest_limited_sender
            else None,
            limit_resets_at_ms=self._longest_limited_sender.limit_resets_at_ms if self._longest_limited_sender else 0,
        )

    @property
    def _longest_limited_sender(self) -> SendingNumber | None:
        """The number that a limit keeps the longest."""
        kept = [row for row in self.senders.values() if row is not None and row.limit_resets_at_ms > self.now_ms]
        return max(kept, key=lambda row: row.limit_resets_at_ms, default=None)

    @property
    def _segments_per_second(self) -> float:
        """At which the whole leaves, if its last text leaves from the busiest number."""
        return self.gateway.sender.segments_per_second / self.busiest_sender_share if self.gateway.sender else 0.0

    def _busy_us(self) -> int:
        """For how long the numbers are taken, on the average: people are shared out evenly among them.

        Where a limit keeps one of them, what leaves last is what waits for that.
        """
        if self._longest_limited_sender is not None:
            return (self._longest_limited_sender.limit_resets_at_ms - self.now_ms) * 1000
        now_us = self.now_ms * 1000
        rows = self.senders.values()
        taken = [max(row.next_free_at_us, row.retry_at_us, now_us) if row else now_us for row in rows]
        return sum(taken) // len(taken) - now_us if taken else 0

    def _lane_context(self, number: int, send_id: int) -> LaneContext:
        ahead = self.unattached_backlog if number == Lane.URGENT else self._lane_backlog(Lane.URGENT)
        return LaneContext(
            urgent_backlog=ahead if Lane.URGENT in self.running_lanes else EMPTY_BACKLOG,
            concurrent_backlogs=self._concurrent_backlogs(number, send_id),
            busy_us=self._busy_us(),
            quiet_hours=self.quiet_hours if number == Lane.BULK else None,
        )

    def _concurrent_backlogs(self, number: int, send_id: int) -> tuple[Backlog, ...]:
        loads = self.backlogs.items()
        return tuple(load for other, load in loads if other != send_id and lane_of(self.sends[other]) == number)

    def _lane_backlog(self, number: int) -> Backlog:
        return sum(
            self._concurrent_backlogs(number, 0), self.unattached_backlog if number == Lane.URGENT else EMPTY_BACKLOG
        )

    def _block_reason(self, number: int, paused: bool) -> BlockReason | None:
        paused_numbers = [row for row in self.senders.values() if row is not None and row.paused_reason]
        checks = {
            BlockReason.SMS_OFF: not self.gateway.switches.feature_on,
            BlockReason.NOT_CONFIGURED: self.gateway.send_route is None,
            BlockReason.SEND_PAUSED: paused,
            BlockReason.LANE_PAUSED: number not in self.running_lanes,
            BlockReason.SENDER_PAUSED: bool(paused_numbers) and len(paused_numbers) == len(self.senders),
            BlockReason.ONE_OF_SENDERS_PAUSED: bool(paused_numbers),
            BlockReason.PROVIDER_UNAVAILABLE: self.is_provider_unavailable,
            BlockReason.NO_WORKER: not self.has_worker,
        }
        return next((reason for reason, holds in checks.items() if holds), None)


def current_traffic(now_ms: int) -> Traffic:
    resolve_current_gateway = app_settings.resolve_current_gateway(now_ms)
    sends = active_sends()
    loads = {id: load for id, load in backlogs_of([s for s in sends if s.paused_at_ms is None]).items() if load.texts}
    hours = configured_quiet_hours() if resolve_current_gateway.switches.mode is Mode.LIVE else None
    return Traffic(
        gateway=resolve_current_gateway,
        senders={key: sender_at(key) for key in resolve_current_gateway.sender.sender_assignment.sender_keys}
        if resolve_current_gateway.sender
        else {},
        sends={send.id: send for send in sends},
        busiest_sender_share=_busiest_sender_share(resolve_current_gateway.sender, loads),
        backlogs=_with_time_zones(loads, hours),
        unattached_backlog=Backlog(*delivery_counts.unattached_texts()),
        running_lanes=lane_state.running_lanes("sms"),
        has_worker="worker:sms" not in missing_process_kinds(now_ms),
        is_provider_unavailable=is_provider_down(
            resolve_current_gateway.sender.sender_assignment.sender_keys if resolve_current_gateway.sender else (),
            now_ms,
        ),
        quiet_hours=hours,
        now_ms=now_ms,
    )


def _busiest_sender_share(sender: SenderSettings | None, loads: Mapping[int, Backlog]) -> float:
    """As texts wait now; before any does, as people are enabled for them."""
    if sender is None or not sender.additional_numbers:
        return 1.0
    every = delivery_counts.sampling_interval(sum(load.texts for load in loads.values()))
    groups = delivery_counts.senders_of_waiting(list(loads), every) if loads else []
    return sender.sender_assignment.largest_share(groups or delivery_counts.senders_of_enabled())


def _with_time_zones(loads: Mapping[int, Backlog], hours: QuietHours | None) -> dict[int, Backlog]:
    """With the time zones of those whose texts wait, where night matters."""
    parts: dict[int, list[int]] = defaultdict(list)
    for send_id, load in loads.items():
        parts[delivery_counts.sampling_interval(load.texts)].append(send_id)
    zones: dict[int, dict[str, int]] = {}
    for every, send_ids in parts.items() if hours else ():
        zones |= delivery_counts.waiting_time_zones(send_ids, every)
    return {send_id: replace(load, zones=zones.get(send_id, {})) for send_id, load in loads.items()}


def backlogs_of(sends: list[Send]) -> dict[int, Backlog]:
    """Texts that wait, those that stand still, and those that have still to be made."""
    found = delivery_counts.text_states([send.id for send in sends])
    return {send.id: _backlog(send, found.get(send.id, {})) for send in sends if send.state in ACTIVE_STATES}


def lane_of(send: Send) -> int:
    return Lane.URGENT if send.version.urgent else Lane.BULK


def _backlog(send: Send, states: Mapping[str, int]) -> Backlog:
    waiting = sum(states.get(state, 0) for state in WAITING)
    if send.state in FANNING_OUT_STATES:
        made = sum(number for state, number in states.items() if state != "skipped")
        waiting += max(0, (send.planned_texts or 0) - made)
    if not waiting:
        return EMPTY_BACKLOG
    return Backlog(waiting, waiting * delivery_counts.average_segments(send.id), deferred=states.get("deferred", 0))
