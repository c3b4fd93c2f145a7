"""When the last text of a send leaves, while sends take turns in their lane and urgent texts go before all bulk."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from portal.domain.pacing import seconds_to_leave

USEFUL_MS = 36_000_000
"""Ten hours: as long as Twilio itself would hold a text back (TWILIO.md 5.1), and about as long as one is of use."""


class Standstill(StrEnum):
    """Why no text of a send leaves now, so that nobody can say when the last one does."""

    SEND_PAUSED = "send_paused"
    LANE_PAUSED = "lane_paused"
    SENDER_PAUSED = "sender_paused"
    SMS_OFF = "sms_off"
    NOT_CONFIGURED = "not_configured"
    NO_WORKER = "no_worker"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Standstill.SEND_PAUSED: "This send is paused",
    Standstill.LANE_PAUSED: "The lane of its texts is paused",
    Standstill.SENDER_PAUSED: "Nothing leaves from the sending number: it is paused",
    Standstill.SMS_OFF: "Texts are switched off",
    Standstill.NOT_CONFIGURED: "The gateway is not set up",
    Standstill.NO_WORKER: "No process that sends texts gives a sign of life",
}


@dataclass(frozen=True)
class Load:
    """What is still to leave: so many texts, which weigh so many segments together."""

    texts: int
    segments: float

    def __add__(self, other: "Load") -> "Load":
        return Load(self.texts + other.texts, self.segments + other.segments)


NOTHING = Load(0, 0)


@dataclass(frozen=True)
class Surroundings:
    """What stands around a send: `ahead` leaves before it, each of `beside` takes turns with it.

    `taken_us` is how long the sender's slots are given away already.
    """

    ahead: Load = NOTHING
    beside: tuple[Load, ...] = ()
    taken_us: int = 0


def shared(mine: Load, others: Sequence[Load]) -> float:
    """Segments of the others that leave before the last text of `mine`: a text of each for every one of mine."""
    return sum(other.segments * min(1.0, mine.texts / other.texts) for other in others if other.texts)


def last_text_ms(mine: Load, around: Surroundings, rate: float, now_ms: int) -> int:
    """When the last text leaves, at `rate` segments a second."""
    segments = around.ahead.segments + shared(mine, around.beside) + mine.segments
    return now_ms + round(1000 * seconds_to_leave(round(segments), rate, around.taken_us))


def is_too_late(last_ms: int, now_ms: int) -> bool:
    return last_ms - now_ms > USEFUL_MS
