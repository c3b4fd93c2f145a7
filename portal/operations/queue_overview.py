"""The state of everything waiting to leave at one moment: lanes, sending numbers, sends and processes."""

from dataclasses import dataclass

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.rules.delivery_status import DeliveryState, StateGroup
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.delivery import mail_server_status
from portal.delivery.mail_server_status import MailServerStatus
from portal.delivery.unresolved_deliveries import UnresolvedText, list_unresolved_texts
from portal.gateways.rules.provider_codes import ProviderCode, code_in_pause_reason, explain_error_code
from portal.messages.rules.lane_labels import lane_label
from portal.messages.tables import delivery_counts, unsent_messages
from portal.messages.tables.lane_state import LaneState, all_lanes
from portal.operations import health
from portal.operations.tables import queue_stats
from portal.sends import provider_availability
from portal.sends.forecast import Forecast, Traffic, current_traffic
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber

RATE_WINDOW_MS = 10_000
_MAX_UNRESOLVED = 50


@dataclass(frozen=True)
class LaneStatus:
    """`oldest_due_ms` is when the delivery that has waited longest became due; None when none is due."""

    lane: LaneState
    label: str
    waiting: int
    deferred: int
    paused: int
    sending: int
    unresolved: int
    oldest_due_ms: int | None
    paused_by: str


@dataclass(frozen=True)
class SenderStatus:
    """Rates are in segments per second: `rate` is the permitted one, None for a number not in use; `current_rate` is
    that of the last ten seconds. `next_free_at_ms` may be past. `down_since_ms` is None while the provider answers
    or is not called. A used-up `limit` blocks the number until `limit_until_ms`.
    """

    sender: SendingNumber
    rate: float | None
    current_rate: float
    next_free_at_ms: int
    retry_at_ms: int | None
    down_since_ms: int | None
    limit: ProviderCode | None = None
    limit_until_ms: int = 0

    @property
    def help_url(self) -> str:
        """Twilio's page about the error code that blocks the number; "" without one."""
        code = self.limit.code if self.limit else code_in_pause_reason(self.sender.paused_reason)
        return explain_error_code(code).docs_url if code else ""


@dataclass(frozen=True)
class SendStatus:
    send: Send
    share: float
    waiting_emails: int
    waiting_texts: int
    forecast: Forecast | None


@dataclass(frozen=True)
class ProcessStatus:
    """`last_heartbeat_ms` is None when there never was a heartbeat."""

    label: str
    running_count: int
    last_heartbeat_ms: int | None


@dataclass(frozen=True)
class QueueOverview:
    lanes: tuple[LaneStatus, ...]
    senders: tuple[SenderStatus, ...]
    sends: tuple[SendStatus, ...]
    unresolved: tuple[UnresolvedText, ...]
    processes: tuple[ProcessStatus, ...]
    mail_server: MailServerStatus
    queue_error: ErrorExplanation | None
    now_ms: int

    @property
    def unresolved_total(self) -> int:
        return sum(status.unresolved for status in self.lanes if status.lane.channel == "sms")

    @property
    def has_due_emails(self) -> bool:
        return any(status.oldest_due_ms or status.sending for status in self.lanes if status.lane.channel == "email")

    @property
    def all_paused(self) -> bool:
        return all(status.lane.paused_at_ms is not None for status in self.lanes)

    @property
    def any_paused(self) -> bool:
        return any(status.lane.paused_at_ms is not None for status in self.lanes)


def load_queue_overview(now_ms: int) -> QueueOverview:
    """Query the queue last: it may take two seconds to time out."""
    traffic = current_traffic(now_ms)
    sections = (
        _lane_statuses(now_ms),
        _sender_statuses(traffic, now_ms),
        _send_statuses(traffic),
        tuple(list_unresolved_texts(_MAX_UNRESOLVED)),
    )
    processes = _process_statuses(now_ms)
    return QueueOverview(*sections, processes, mail_server_status.mail_server_status(), health.queue_problem(), now_ms)


def _lane_statuses(now_ms: int) -> tuple[LaneStatus, ...]:
    states = queue_stats.delivery_counts_by_lane()
    return tuple(_lane_status(lane, states.get((lane.channel, lane.lane), {}), now_ms) for lane in all_lanes())


def _lane_status(lane: LaneState, states: dict[str, int], now_ms: int) -> LaneStatus:
    due_ms = unsent_messages.next_due_ms(lane.channel, [lane.lane])
    pauser = db.session.get(Account, lane.paused_by_id) if lane.paused_by_id else None
    return LaneStatus(
        lane=lane,
        label=lane_label(lane.channel, lane.lane),
        waiting=states.get(DeliveryState.READY, 0),
        deferred=states.get(DeliveryState.DEFERRED, 0),
        paused=states.get(DeliveryState.PAUSED, 0),
        sending=states.get(DeliveryState.SENDING, 0),
        unresolved=states.get("unresolved", 0),
        oldest_due_ms=due_ms if due_ms is not None and due_ms <= now_ms else None,
        paused_by=pauser.name if pauser else "the portal or the command line",
    )


def _sender_statuses(traffic: Traffic, now_ms: int) -> tuple[SenderStatus, ...]:
    segments_sent = queue_stats.segments_between(now_ms - RATE_WINDOW_MS, now_ms)
    sender_settings = traffic.gateway.sender
    statuses = []
    for sender in queue_stats.list_sender_rows():
        rate = (
            sender_settings.segments_per_second
            if sender_settings and sender.number in sender_settings.sender_assignment.sender_keys
            else None
        )
        current_rate = segments_sent.get(sender.number, 0) * 1000 / RATE_WINDOW_MS
        retry_at_ms = sender.retry_at_us // 1000
        down_since_ms = sender.down_since_ms if traffic.is_provider_unavailable else None
        limit = explain_error_code(sender.limit_code) if sender.limit_resets_at_ms > now_ms else None
        slot_ms = max(sender.next_free_at_us // 1000, sender.limit_resets_at_ms if limit else 0)
        status = SenderStatus(
            sender,
            rate,
            current_rate,
            slot_ms,
            retry_at_ms if retry_at_ms > now_ms else None,
            down_since_ms,
            limit,
            sender.limit_resets_at_ms,
        )
        statuses.append(status)
    return tuple(statuses)


def _send_statuses(traffic: Traffic) -> tuple[SendStatus, ...]:
    groups = delivery_counts.group_counts_by_send(list(traffic.sends))
    return tuple(
        SendStatus(
            send=send,
            share=traffic.current_share(send),
            waiting_emails=groups[send.id]["email"][StateGroup.WAITING],
            waiting_texts=groups[send.id]["sms"][StateGroup.WAITING],
            forecast=traffic.forecast_send(send),
        )
        for send in traffic.sends.values()
    )


def _process_statuses(now_ms: int) -> tuple[ProcessStatus, ...]:
    heartbeats = queue_stats.heartbeat_summary(now_ms - provider_availability.HEARTBEAT_TIMEOUT_MS)
    kinds = {**{kind: f"Worker for {label}" for kind, label in WORKER_QUEUE_LABELS.items()}, SCHEDULER: "Scheduler"}
    return tuple(ProcessStatus(label, *heartbeats.get(kind, (0, None))) for kind, label in kinds.items())
