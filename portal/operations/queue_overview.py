"""Everything that waits to be sent at one moment: lanes, sending numbers, sends, processes and the mail server."""

from collections import Counter
from dataclasses import dataclass

from portal.accounts.tables.accounts import Account
from portal.consent.tables import consent_reports
from portal.consent.tables.consent_reports import ReportState
from portal.core.context import settings
from portal.core.coordination import heartbeats
from portal.core.extensions import db
from portal.core.rules.connection_errors import ErrorExplanation
from portal.core.rules.delivery_status import DeliveryState, StateGroup
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.core.translation import gettext as _
from portal.delivery import mail_server_status
from portal.delivery.tables.mail_server import MailServer
from portal.delivery.unresolved_deliveries import UnresolvedText, list_unresolved_texts
from portal.gateways.job_reports import JobReports, list_jobs
from portal.gateways.queue import QUEUES
from portal.gateways.rules.provider_codes import ProviderCode, code_in_pause_reason, explain_error_code
from portal.messages.rules.lane_labels import lane_label, lane_title
from portal.messages.tables import delivery_counts, unsent_messages
from portal.messages.tables.lane_state import LaneState, all_lanes
from portal.operations import health
from portal.operations.rules.checks import rate_label
from portal.operations.tables import queue_stats
from portal.sends import provider_availability
from portal.sends.forecast import Forecast, Traffic, current_traffic
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber

_RATE_WINDOW_MS = 10_000
_MAX_UNRESOLVED = 50
_MAX_ERRORS = 5


@dataclass(frozen=True)
class LaneStatus:
    """`counts` of deliveries by state. `oldest_due_ms` is when the one that waits longest became due, if any is due."""

    lane: LaneState
    title: str
    label: str
    counts: Counter[str]
    oldest_due_ms: int | None
    paused_by: str


@dataclass(frozen=True)
class SenderStatus:
    """Rates are in segments per second: the permitted `rate`, None for a number not in use, and the `current_rate` of
    the last ten seconds. `next_free_at_ms` may be in the past. `retry_at_ms` and `down_since_ms` are None while the
    provider answers. `limit` blocks the number until `sender.limit_resets_at_ms`.
    """

    sender: SendingNumber
    rate: float | None
    current_rate: float
    next_free_at_ms: int
    retry_at_ms: int | None
    down_since_ms: int | None
    limit: ProviderCode | None

    @property
    def rate_label(self) -> str:
        return rate_label(self.rate) if self.rate else ""

    @property
    def help_url(self) -> str:
        """Twilio's page about the error code that blocks the number, or ""."""
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
    """`last_heartbeat_ms` is None if there never was a heartbeat."""

    label: str
    running_count: int
    last_heartbeat_ms: int | None


@dataclass(frozen=True)
class ConsentReporting:
    """What Twilio is yet to be told, since when the oldest waits, and what went wrong, the commonest first."""

    is_on: bool
    waiting: int
    since_ms: int | None
    refused: int
    errors: dict[str, int]


@dataclass(frozen=True)
class QueueOverview:
    lanes: tuple[LaneStatus, ...]
    senders: tuple[SenderStatus, ...]
    sends: tuple[SendStatus, ...]
    unresolved: tuple[UnresolvedText, ...]
    processes: tuple[ProcessStatus, ...]
    mail_server: MailServer
    consent: ConsentReporting
    queue_error: ErrorExplanation | None
    jobs: dict[str, JobReports]
    now_ms: int

    @property
    def unknown_texts(self) -> int:
        return sum(status.counts[DeliveryState.UNKNOWN] for status in self.lanes if status.lane.channel == "sms")

    @property
    def has_due_emails(self) -> bool:
        lanes = [status for status in self.lanes if status.lane.channel == "email"]
        return any(status.oldest_due_ms or status.counts[DeliveryState.SENDING] for status in lanes)

    @property
    def all_paused(self) -> bool:
        return all(status.lane.paused_at_ms is not None for status in self.lanes)

    @property
    def any_paused(self) -> bool:
        return any(status.lane.paused_at_ms is not None for status in self.lanes)


def load_queue_overview(now_ms: int) -> QueueOverview:
    traffic = current_traffic(now_ms)
    return QueueOverview(
        lanes=_lane_statuses(now_ms),
        senders=_sender_statuses(traffic, now_ms),
        sends=_send_statuses(traffic),
        unresolved=tuple(list_unresolved_texts(_MAX_UNRESOLVED)),
        processes=_process_statuses(now_ms),
        mail_server=mail_server_status.mail_server_status(),
        consent=consent_reporting(),
        queue_error=health.queue_problem(),  # late, because it may take two seconds to time out
        jobs={name: list_jobs(settings().redis_url, name) for name in QUEUES},
        now_ms=now_ms,
    )


def consent_reporting() -> ConsentReporting:
    counts, is_on = consent_reports.counts_by_state(), consent_reports.is_reporting()
    if not counts:
        return ConsentReporting(is_on, waiting=0, since_ms=None, refused=0, errors={})
    return ConsentReporting(
        is_on=is_on,
        waiting=counts.get(ReportState.WAITING, 0),
        since_ms=consent_reports.waiting_since_ms(),
        refused=counts.get(ReportState.REFUSED, 0),
        errors=consent_reports.errors_of((ReportState.WAITING, ReportState.REFUSED), _MAX_ERRORS),
    )


def live_workers(now_ms: int) -> set[str]:
    """The names by which RQ knows the workers that have a heartbeat; it notices the death of one only after minutes."""
    since_ms = now_ms - provider_availability.HEARTBEAT_TIMEOUT_MS
    workers = (heartbeat for kind in WORKER_QUEUE_LABELS for heartbeat in heartbeats(kind, since_ms))
    return {heartbeat.name.removeprefix("worker:").replace(":", "-") for heartbeat in workers}


def _lane_statuses(now_ms: int) -> tuple[LaneStatus, ...]:
    counts = queue_stats.delivery_counts_by_lane()
    return tuple(_lane_status(lane, counts[lane.channel, lane.lane], now_ms) for lane in all_lanes())


def _lane_status(lane: LaneState, counts: Counter[str], now_ms: int) -> LaneStatus:
    due_ms = unsent_messages.next_due_ms(lane.channel, [lane.lane])
    pauser = db.session.get(Account, lane.paused_by_id) if lane.paused_by_id else None
    return LaneStatus(
        lane=lane,
        title=lane_title(lane.channel, lane.lane),
        label=lane_label(lane.channel, lane.lane),
        counts=counts,
        oldest_due_ms=due_ms if due_ms is not None and due_ms <= now_ms else None,
        paused_by=pauser.name if pauser else _("the portal or the command line"),
    )


def _sender_statuses(traffic: Traffic, now_ms: int) -> tuple[SenderStatus, ...]:
    segments = queue_stats.segments_between(now_ms - _RATE_WINDOW_MS, now_ms)
    senders = queue_stats.list_sender_rows()
    return tuple(_sender_status(sender, segments.get(sender.number, 0), traffic, now_ms) for sender in senders)


def _sender_status(sender: SendingNumber, segments: int, traffic: Traffic, now_ms: int) -> SenderStatus:
    settings = traffic.gateway.sender
    is_used = settings is not None and sender.number in settings.sender_assignment.sender_keys
    is_limited, retry_at_ms = sender.limit_resets_at_ms > now_ms, sender.retry_at_us // 1000
    return SenderStatus(
        sender=sender,
        rate=settings.segments_per_second if settings and is_used else None,
        current_rate=segments * 1000 / _RATE_WINDOW_MS,
        next_free_at_ms=max(sender.next_free_at_us // 1000, sender.limit_resets_at_ms if is_limited else 0),
        retry_at_ms=retry_at_ms if retry_at_ms > now_ms else None,
        down_since_ms=sender.down_since_ms if traffic.is_provider_unavailable else None,
        limit=explain_error_code(sender.limit_code) if is_limited else None,
    )


def _send_statuses(traffic: Traffic) -> tuple[SendStatus, ...]:
    counts = delivery_counts.group_counts_by_send(list(traffic.sends))
    return tuple(
        SendStatus(
            send=send,
            share=traffic.current_share(send),
            waiting_emails=counts[send.id]["email"][StateGroup.WAITING],
            waiting_texts=counts[send.id]["sms"][StateGroup.WAITING],
            forecast=traffic.forecast_send(send),
        )
        for send in traffic.sends.values()
    )


def _process_statuses(now_ms: int) -> tuple[ProcessStatus, ...]:
    summary = queue_stats.heartbeat_summary(now_ms - provider_availability.HEARTBEAT_TIMEOUT_MS)
    kinds = {kind: _("Worker for %(queue)s", queue=_(label)) for kind, label in WORKER_QUEUE_LABELS.items()}
    kinds[SCHEDULER] = _("Scheduler")
    return tuple(ProcessStatus(label, *summary.get(kind, (0, None))) for kind, label in kinds.items())
