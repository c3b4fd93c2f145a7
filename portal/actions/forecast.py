"""When the last text of a send leaves: what is ahead of it and beside it, at the pace in force."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from portal.actions import settings as app_settings
from portal.actions.night import hours_of_night
from portal.actions.vitals import provider_is_away, silent_kinds
from portal.domain.app_config import Gateway, SenderSettings
from portal.domain.forecasting import NOTHING, Load, Standstill, Surroundings, foresee, is_too_late, shared
from portal.domain.provider_codes import ProviderCode, explain
from portal.domain.quiet_hours import QuietHours
from portal.domain.routing import Mode
from portal.domain.status import WAITING
from portal.models import lane, progress
from portal.models.gateway import Sender
from portal.models.gateway import sender as sender_at
from portal.models.send import EXPANDING, UNDER_WAY, Send, under_way, useful_until_ms
from portal.models.template import TemplateVersion

URGENT, BULK = 0, 1


@dataclass(frozen=True)
class Forecast:
    """Of the texts of a send that have still to leave; of many texts a part is weighed, so segments are about right.

    `ahead` are segments of urgent texts, `shared` those of the `beside` sends that take turns with it meanwhile; `rate`
    is in segments a second. While something `stands` still there is no `last_text_ms`. `resting` of the texts wait for
    the end of quiet hours now. `late` would leave after `useful_until_ms`, and so do not. A `limit` that is used up
    keeps texts until `limit_until_ms`, and the forecast begins there.
    """

    texts: int
    segments: int
    rate: float
    ahead: int
    shared: int
    beside: int
    stands: Standstill | None
    last_text_ms: int | None
    is_too_late: bool
    resting: int = 0
    hours: QuietHours | None = None
    useful_until_ms: int | None = None
    late: int = 0
    limit: ProviderCode | None = None
    limit_until_ms: int = 0


@dataclass(frozen=True)
class Traffic:
    """All that is to leave by text at one moment.

    `senders` are the numbers in use, by key, and `largest_share` how much of all comes from the busiest of them;
    `loads` are those of the sends under way, but for paused ones.
    """

    gateway: Gateway
    senders: Mapping[str, Sender | None]
    largest_share: float
    sends: Mapping[int, Send]
    loads: Mapping[int, Load]
    unsent_urgent: Load
    running: tuple[int, ...]
    has_worker: bool
    is_provider_away: bool
    hours: QuietHours | None
    now_ms: int

    def forecast_of_new(self, version: TemplateVersion, load: Load) -> Forecast | None:
        """For a send that would begin now; None when it makes no text."""
        number = URGENT if version.urgent else BULK
        until_ms = useful_until_ms(version, self.now_ms)
        return self._forecast(load, number, 0, self._stands(number, False), self.now_ms, until_ms)

    def forecast_of(self, send: Send) -> Forecast | None:
        """For a send that was created; None when none of its texts has still to leave."""
        paused = send.paused_at_ms is not None
        load = load_of([send]).get(send.id, NOTHING) if paused else self.loads.get(send.id, NOTHING)
        until_ms = useful_until_ms(send.version, send.created_at_ms)
        stands = self._stands(lane_of(send), paused)
        return self._forecast(load, lane_of(send), send.id, stands, send.created_at_ms, until_ms)

    def share_of(self, send: Send) -> float:
        """Of all texts that leave now, as long as nothing changes."""
        if send.id not in self.loads or lane_of(send) not in self.running:
            return 0.0
        first = URGENT if URGENT in self.running and self._load_of(URGENT).texts else BULK
        return 1 / (1 + len(self._beside(first, send.id))) if lane_of(send) == first else 0.0

    def _forecast(
        self,
        load: Load,
        number: int,
        send_id: int,
        stands: Standstill | None,
        begun_ms: int,
        useful_until_ms: int | None,
    ) -> Forecast | None:
        """`begun_ms` is from when on the hours count in which a text is of use."""
        if not load.texts:
            return None
        around = self._around(number, send_id)
        found = None if stands else foresee(load, around, self._rate, self.now_ms, useful_until_ms)
        return Forecast(
            texts=load.texts,
            segments=round(load.segments),
            rate=self._rate,
            ahead=round(around.ahead.segments),
            shared=round(shared(load, around.beside)),
            beside=len(around.beside),
            stands=stands,
            last_text_ms=found.last_ms if found else None,
            is_too_late=found is not None and is_too_late(found.last_ms, begun_ms),
            resting=load.resting,
            hours=around.hours,
            useful_until_ms=useful_until_ms,
            late=found.late if found else 0,
            limit=explain(self._limited.limit_code) if self._limited else None,
            limit_until_ms=self._limited.limit_until_ms if self._limited else 0,
        )

    @property
    def _limited(self) -> Sender | None:
        """The number that a limit keeps the longest."""
        kept = [row for row in self.senders.values() if row is not None and row.limit_until_ms > self.now_ms]
        return max(kept, key=lambda row: row.limit_until_ms, default=None)

    @property
    def _rate(self) -> float:
        """At which the whole leaves, if its last text leaves from the busiest number."""
        return self.gateway.sender.segments_per_second / self.largest_share if self.gateway.sender else 0.0

    def _taken_us(self) -> int:
        """For how long the numbers are taken, on the average: people are shared out evenly among them.

        Where a limit keeps one of them, what leaves last is what waits for that.
        """
        if self._limited is not None:
            return (self._limited.limit_until_ms - self.now_ms) * 1000
        now_us = self.now_ms * 1000
        rows = self.senders.values()
        taken = [max(row.next_free_at_us, row.rests_until_us, now_us) if row else now_us for row in rows]
        return sum(taken) // len(taken) - now_us if taken else 0

    def _around(self, number: int, send_id: int) -> Surroundings:
        ahead = self.unsent_urgent if number == URGENT else self._load_of(URGENT)
        return Surroundings(
            ahead=ahead if URGENT in self.running else NOTHING,
            beside=self._beside(number, send_id),
            taken_us=self._taken_us(),
            hours=self.hours if number == BULK else None,
        )

    def _beside(self, number: int, send_id: int) -> tuple[Load, ...]:
        loads = self.loads.items()
        return tuple(load for other, load in loads if other != send_id and lane_of(self.sends[other]) == number)

    def _load_of(self, number: int) -> Load:
        return sum(self._beside(number, 0), self.unsent_urgent if number == URGENT else NOTHING)

    def _stands(self, number: int, paused: bool) -> Standstill | None:
        paused_numbers = [row for row in self.senders.values() if row is not None and row.paused_reason]
        checks = {
            Standstill.SMS_OFF: not self.gateway.switches.feature_on,
            Standstill.NOT_CONFIGURED: self.gateway.door is None,
            Standstill.SEND_PAUSED: paused,
            Standstill.LANE_PAUSED: number not in self.running,
            Standstill.SENDER_PAUSED: bool(paused_numbers) and len(paused_numbers) == len(self.senders),
            Standstill.ONE_OF_SENDERS_PAUSED: bool(paused_numbers),
            Standstill.PROVIDER_AWAY: self.is_provider_away,
            Standstill.NO_WORKER: not self.has_worker,
        }
        return next((reason for reason, holds in checks.items() if holds), None)


def traffic(now_ms: int) -> Traffic:
    gateway = app_settings.gateway(now_ms)
    sends = under_way()
    loads = {id: load for id, load in load_of([s for s in sends if s.paused_at_ms is None]).items() if load.texts}
    hours = hours_of_night() if gateway.switches.mode is Mode.LIVE else None
    return Traffic(
        gateway=gateway,
        senders={key: sender_at(key) for key in gateway.sender.allotment.keys} if gateway.sender else {},
        sends={send.id: send for send in sends},
        largest_share=_largest_share(gateway.sender, loads),
        loads=_spread(loads, hours),
        unsent_urgent=Load(*progress.texts_of_no_send()),
        running=lane.running("sms"),
        has_worker="worker:sms" not in silent_kinds(now_ms),
        is_provider_away=provider_is_away(gateway.sender.allotment.keys if gateway.sender else (), now_ms),
        hours=hours,
        now_ms=now_ms,
    )


def _largest_share(sender: SenderSettings | None, loads: Mapping[int, Load]) -> float:
    """As texts wait now; before any does, as people are enabled for them."""
    if sender is None or not sender.more_numbers:
        return 1.0
    every = progress.part_of(sum(load.texts for load in loads.values()))
    groups = progress.writers_of_waiting(list(loads), every) if loads else []
    return sender.allotment.largest_share(groups or progress.writers_of_enabled())


def _spread(loads: Mapping[int, Load], hours: QuietHours | None) -> dict[int, Load]:
    """With the time zones of those whose texts wait, where night matters."""
    parts: dict[int, list[int]] = defaultdict(list)
    for send_id, load in loads.items():
        parts[progress.part_of(load.texts)].append(send_id)
    zones: dict[int, dict[str, int]] = {}
    for every, send_ids in parts.items() if hours else ():
        zones |= progress.zones_of_waiting(send_ids, every)
    return {send_id: replace(load, zones=zones.get(send_id, {})) for send_id, load in loads.items()}


def load_of(sends: list[Send]) -> dict[int, Load]:
    """Texts that wait, those that stand still, and those that have still to be made."""
    found = progress.text_states([send.id for send in sends])
    return {send.id: _load(send, found.get(send.id, {})) for send in sends if send.state in UNDER_WAY}


def lane_of(send: Send) -> int:
    return URGENT if send.version.urgent else BULK


def _load(send: Send, states: Mapping[str, int]) -> Load:
    waiting = sum(states.get(state, 0) for state in WAITING)
    if send.state in EXPANDING:
        made = sum(number for state, number in states.items() if state != "skipped")
        waiting += max(0, (send.planned_texts or 0) - made)
    if not waiting:
        return NOTHING
    return Load(waiting, waiting * progress.average_segments(send.id), resting=states.get("quiet", 0))
