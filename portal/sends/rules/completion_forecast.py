"""When the last text of a send leaves, while sends take turns in their lane and urgent texts go before all bulk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from portal.core.rules.quiet_hours import QuietHours
from portal.sends.rules.lane_simulation import SimulatedBacklog, simulate_lane

LATE_AFTER_MS = 36_000_000
"""Ten hours: as long as Twilio would queue a text (docs/twilio.md#queue), and few are useful for longer."""


class BlockReason(StrEnum):
    """Why no text of a send leaves now, so that nobody can say when the last one does."""

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
    BlockReason.LANE_PAUSED: "The lane of its texts is paused",
    BlockReason.SENDER_PAUSED: "Nothing leaves from the sending number: it is paused",
    BlockReason.ONE_OF_SENDERS_PAUSED: "One of the sending numbers is paused, and what comes from it waits",
    BlockReason.SMS_OFF: "Texts are switched off",
    BlockReason.NOT_CONFIGURED: "The gateway is not set up",
    BlockReason.PROVIDER_UNAVAILABLE: "The gateway does not answer",
    BlockReason.NO_WORKER: "No process that sends texts gives a sign of life",
}


@dataclass(frozen=True)
class Backlog:
    """What is still to leave: so many texts, which weigh so many segments together.

    `zones` says how they are spread over time zones, where that is known: in what proportion, not how many. `resting`
    of them wait for the end of quiet hours now.
    """

    texts: int
    segments: float
    zones: Mapping[str, int] = field(default_factory=dict)
    deferred: int = 0

    def __add__(self, other: "Backlog") -> "Backlog":
        return Backlog(self.texts + other.texts, self.segments + other.segments)


EMPTY_BACKLOG = Backlog(0, 0)


@dataclass(frozen=True)
class LaneContext:
    """What stands around a send: `ahead` leaves before it, each of `beside` takes turns with it.

    `busy_us` is how long the sender's slots are given away already; `hours` are the quiet hours it keeps.
    """

    urgent_backlog: Backlog = EMPTY_BACKLOG
    concurrent_backlogs: tuple[Backlog, ...] = ()
    busy_us: int = 0
    quiet_hours: QuietHours | None = None


@dataclass(frozen=True)
class CompletionEstimate:
    """When the last text leaves, and how many of them would leave too late to be of use."""

    last_text_at_ms: int
    expired_count: int


def interleaved_segments(mine: Backlog, others: Sequence[Backlog]) -> float:
    """Segments of the others that leave before the last text of `mine`: a text of each for every one of mine."""
    return sum(other.segments * min(1.0, mine.texts / other.texts) for other in others if other.texts)


def estimate_completion(
    mine: Backlog, around: LaneContext, rate: float, now_ms: int, sms_expires_at_ms: int | None = None
) -> CompletionEstimate:
    """Of a load, at `rate` segments a second."""
    begins_ms = now_ms + max(0, around.busy_us) / 1000 + around.urgent_backlog.segments * 1000 / rate
    others = [_to_simulated_backlog(load) for load in around.concurrent_backlogs if load.texts]
    asked_ms = inf if sms_expires_at_ms is None else sms_expires_at_ms
    found = simulate_lane(_to_simulated_backlog(mine), others, begins_ms, rate, around.quiet_hours, asked_ms)
    return CompletionEstimate(max(now_ms, round(found.ends_ms - 1000 / rate)), round(found.remaining_at_deadline))


def is_late(last_ms: int, begun_ms: int) -> bool:
    """Of a send that was made at `begun_ms`: whether its last text leaves after ten hours, which is long for any."""
    return last_ms > begun_ms + LATE_AFTER_MS


def _to_simulated_backlog(load: Backlog) -> SimulatedBacklog:
    known = sum(load.zones.values())
    spread = {zone: load.texts * number / known for zone, number in load.zones.items()} if known else {"": load.texts}
    return SimulatedBacklog(dict[str, float](spread), load.segments / load.texts)
