"""When the last text of a send leaves: urgent texts go first, and sends take turns within their lane, one text each.

Texts are modelled as a fluid: between quiet-hours boundaries and completions the rates are constant.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf

from portal.core.rules.limits.quiet_hours import Place, QuietHours
from portal.core.translation import N_

LATE_AFTER_MS = 36_000_000
"""Ten hours, the longest that Twilio queues a text (docs/twilio.md#queue)."""
_MAX_INTERVALS = 20_000
"""Years of quiet hours. A send that takes longer effectively never ends."""
_EPSILON = 1e-6


class BlockReason(StrEnum):
    """Why no text of a send leaves now, so that there is no forecast."""

    SEND_PAUSED = "send_paused", N_("This send is paused")
    LANE_PAUSED = "lane_paused", N_("The lane of this send is paused")
    SENDER_PAUSED = "sender_paused", N_("The sending number is paused")
    ONE_OF_SENDERS_PAUSED = "one_of_senders_paused", N_("One of the sending numbers is paused")
    SMS_OFF = "sms_off", N_("Texts are switched off")
    NOT_CONFIGURED = "not_configured", N_("The SMS gateway is not set up")
    PROVIDER_UNAVAILABLE = "provider_unavailable", N_("The SMS gateway is not responding")
    NO_WORKER = "no_worker", N_("No worker for texts is running")

    label: str

    def __new__(cls, value: str, label: str) -> "BlockReason":
        reason = str.__new__(cls, value)
        reason._value_, reason.label = value, label
        return reason


@dataclass(frozen=True)
class Backlog:
    """Texts that have not left yet. `places` has their proportions by place, if known; `deferred` are included."""

    texts: int
    segments: float
    places: Mapping[Place, int] = field(default_factory=dict)
    deferred: int = 0

    def without(self, count: int) -> "Backlog":
        """Fewer texts of the same kind."""
        share = max(0.0, 1 - count / self.texts)
        return replace(self, texts=max(0, self.texts - count), segments=self.segments * share)


EMPTY_BACKLOG = Backlog(0, 0)


def sum_backlogs(backlogs: Sequence[Backlog]) -> Backlog:
    places = Counter[Place]()
    for backlog in backlogs:
        places.update(backlog.places)
    texts, segments = sum(backlog.texts for backlog in backlogs), sum(backlog.segments for backlog in backlogs)
    return Backlog(texts, segments, dict(places), sum(backlog.deferred for backlog in backlogs))


ANYWHERE = Place(("UTC",))


def interleaved_segments(backlog: Backlog, others: Sequence[Backlog]) -> float:
    """Segments of the others that leave before the last text of `backlog`."""
    return sum(other.segments * min(1.0, backlog.texts / other.texts) for other in others if other.texts)


def estimate_completion(
    backlog: Backlog,
    others: Sequence[Backlog],
    rate: float,
    begins_ms: float,
    hours: QuietHours | None = None,
    expires_at_ms: int | None = None,
) -> tuple[float, float]:
    """When the last text leaves at `rate` segments per second, and how many are still unsent when they expire.

    `others` are the sends that take turns with this one.
    """
    drains = [_Drain(item) for item in (backlog, *others) if item.texts]
    own, clock = drains[0], _PlaceClock(hours)
    elapsed_ms = 0.0  # relative to the start, because floats are too coarse for milliseconds since 1970
    expires_after_ms = inf if expires_at_ms is None else expires_at_ms - begins_ms
    expired = own.remaining() if expires_after_ms < 0 else 0.0
    for _ in range(_MAX_INTERVALS):
        if own.remaining() < _EPSILON:
            break
        quiet, boundary_after_ms = clock.quiet_places(drains, begins_ms + elapsed_ms)
        active = [item for item in drains if item.remaining(quiet) > _EPSILON]
        texts_per_ms = rate / 1000 / sum(item.segments_per_text for item in active) if active else 0.0
        interval_ms = min([boundary_after_ms, *(item.remaining(quiet) / texts_per_ms for item in active)])
        if elapsed_ms <= expires_after_ms < elapsed_ms + interval_ms:
            sent = texts_per_ms * (expires_after_ms - elapsed_ms) if own in active else 0.0
            expired = own.remaining() - sent
        for item in active:
            item.send(texts_per_ms * interval_ms, quiet)
        elapsed_ms += interval_ms
    return begins_ms + max(0.0, elapsed_ms - 1000 / rate), expired


class _Drain:
    """The unsent texts of one send by the recipients' place."""

    def __init__(self, backlog: Backlog) -> None:
        places = backlog.places or {ANYWHERE: 1}
        self.texts = {place: backlog.texts * count / sum(places.values()) for place, count in places.items()}
        self.segments_per_text = backlog.segments / backlog.texts

    def remaining(self, quiet_places: Set[Place] = frozenset()) -> float:
        return sum(count for place, count in self.texts.items() if place not in quiet_places)

    def send(self, count: float, quiet_places: Set[Place]) -> None:
        """From the places without quiet hours, in proportion."""
        left = max(0.0, 1 - count / self.remaining(quiet_places))
        for place in self.texts.keys() - quiet_places:
            self.texts[place] *= left


class _PlaceClock:
    """Which places are in quiet hours. Each place is asked again only when that changes: there may be hundreds."""

    def __init__(self, hours: QuietHours | None) -> None:
        self._hours = hours
        self._known: dict[Place, tuple[bool, int]] = {}

    def quiet_places(self, drains: list[_Drain], now_ms: float) -> tuple[Set[Place], float]:
        """The places in quiet hours, and the milliseconds until that set changes."""
        if self._hours is None:
            return frozenset(), inf
        places = {place for item in drains for place, count in item.texts.items() if count > _EPSILON}
        states = {place: self._state(self._hours, place, round(now_ms)) for place in places}
        next_change_ms = min((until_ms for _is_quiet, until_ms in states.values()), default=inf)
        return {place for place, (is_quiet, _until_ms) in states.items() if is_quiet}, max(1.0, next_change_ms - now_ms)

    def _state(self, hours: QuietHours, place: Place, now_ms: int) -> tuple[bool, int]:
        """Whether it is quiet there, and until when that stays so."""
        known = self._known.get(place)
        if known is None or known[1] <= now_ms:
            ends_ms = hours.ends_ms(now_ms, place)
            known = (True, ends_ms) if ends_ms is not None else (False, hours.begins_ms(now_ms, place))
            self._known[place] = known
        return known
