"""When the last text of a send leaves: urgent texts go first, and sends take turns within their lane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from portal.core.rules.quiet_hours import QuietHours
from portal.sends.rules.lane_simulation import SimulatedBacklog, simulate_lane

LATE_AFTER_MS = 36_000_000
"""Ten hours, the longest that Twilio queues a text (docs/twilio.md#queue)."""


class BlockReason(StrEnum):
    """Why no text of a send leaves now, so that there is no forecast."""

    SEND_PAUSED = "send_paused"
    LANE_PAUSED = "lane_paused"
    SENDER_PAUSED = "sender_paused"
    ONE_OF_SENDERS_PAUSED = "one_of_senders_paused"
    SMS_OFF = "sms_off"
    NOT_CONFIGURED = "not_configured"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    NO_WORKER = "no_worker"

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    BlockReason.SEND_PAUSED: "This send is paused",
    BlockReason.LANE_PAUSED: "The lane of this send is paused",
    BlockReason.SENDER_PAUSED: "The sending number is paused",
    BlockReason.ONE_OF_SENDERS_PAUSED: "One of the sending numbers is paused",
    BlockReason.SMS_OFF: "Texts are switched off",
    BlockReason.NOT_CONFIGURED: "The SMS gateway is not set up",
    BlockReason.PROVIDER_UNAVAILABLE: "The SMS gateway is not responding",
    BlockReason.NO_WORKER: "No worker for texts is running",
}


@dataclass(frozen=True)
class Backlog:
    """Texts that have not left yet. `zones` has their proportions by time zone, if known; `deferred` are included."""

    texts: int
    segments: float
    zones: Mapping[str, int] = field(default_factory=dict)
    deferred: int = 0

    def __add__(self, other: "Backlog") -> "Backlog":
        return Backlog(self.texts + other.texts, self.segments + other.segments)


EMPTY_BACKLOG = Backlog(0, 0)


@dataclass(frozen=True)
class LaneContext:
    """The urgent backlog leaves first, concurrent ones take turns with the send. Slots are taken for `busy_us`."""

    urgent_backlog: Backlog = EMPTY_BACKLOG
    concurrent_backlogs: tuple[Backlog, ...] = ()
    busy_us: int = 0
    quiet_hours: QuietHours | None = None


@dataclass(frozen=True)
class CompletionEstimate:
    last_text_at_ms: int
    expired_count: int


def interleaved_segments(backlog: Backlog, others: Sequence[Backlog]) -> float:
    """Segments of the others that leave before the last text of `backlog`."""
    return sum(other.segments * min(1.0, backlog.texts / other.texts) for other in others if other.texts)


def estimate_completion(
    backlog: Backlog, context: LaneContext, rate: float, now_ms: int, expires_at_ms: int | None = None
) -> CompletionEstimate:
    """`rate` is in segments per second."""
    begins_ms = now_ms + max(0, context.busy_us) / 1000 + context.urgent_backlog.segments * 1000 / rate
    others = [_to_simulated_backlog(other) for other in context.concurrent_backlogs if other.texts]
    deadline_ms = inf if expires_at_ms is None else expires_at_ms
    simulated = _to_simulated_backlog(backlog)
    ends_ms, remaining = simulate_lane(simulated, others, begins_ms, rate, context.quiet_hours, deadline_ms)
    return CompletionEstimate(max(now_ms, round(ends_ms - 1000 / rate)), round(remaining))


def is_late(last_text_at_ms: int, created_at_ms: int) -> bool:
    return last_text_at_ms > created_at_ms + LATE_AFTER_MS


def _to_simulated_backlog(backlog: Backlog) -> SimulatedBacklog:
    zones = backlog.zones or {"": 1}
    texts = {zone: backlog.texts * count / sum(zones.values()) for zone, count in zones.items()}
    return SimulatedBacklog(texts, backlog.segments / backlog.texts)
