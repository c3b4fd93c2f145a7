"""How everything that is to leave stands at one moment: lanes, sending numbers, sends, processes."""

from dataclasses import dataclass

from portal.actions import mail_server, vitals
from portal.actions.forecast import Forecast, Traffic, traffic
from portal.actions.mail_server import MailServerStand
from portal.actions.unknowns import UnknownText, all_unknown
from portal.causes import Cause
from portal.domain.diagnosis import SCHEDULER, WORKERS
from portal.domain.lane_words import lane_words
from portal.domain.provider_codes import ProviderCode, code_of, explain
from portal.extensions import db
from portal.models import due, progress, queues
from portal.models.account import Account
from portal.models.gateway import Sender
from portal.models.lane import Lane, all_lanes
from portal.models.send import Send

PACE_MS = 10_000
_MOST_UNKNOWN = 50


@dataclass(frozen=True)
class LaneStand:
    """`due_since_ms` is since when the one that is due the longest could have left; None when none is due."""

    lane: Lane
    words: str
    waiting: int
    resting: int
    held: int
    moving: int
    unknown: int
    due_since_ms: int | None
    paused_by: str


@dataclass(frozen=True)
class SenderStand:
    """`rate` is None for a number that is not in use now; `pace` is what left in the last ten seconds, in segments a
    second; `free_ms` when the next slot is free, which may be past; `away_since_ms` is None while the provider answers,
    or nobody asks it. A `limit` that is used up keeps it until then."""

    sender: Sender
    rate: float | None
    pace: float
    free_ms: int
    rests_until_ms: int | None
    away_since_ms: int | None
    limit: ProviderCode | None = None
    limit_until_ms: int = 0

    @property
    def link(self) -> str:
        """What Twilio says of the code that keeps it; "" without one."""
        code = self.limit.code if self.limit else code_of(self.sender.paused_reason)
        return explain(code).link if code else ""


@dataclass(frozen=True)
class SendStand:
    send: Send
    share: float
    mails: int
    texts: int
    forecast: Forecast | None


@dataclass(frozen=True)
class ProcessStand:
    """`last_ms` is the latest sign of life; None when there never was one."""

    carries: str
    running: int
    last_ms: int | None


@dataclass(frozen=True)
class Board:
    lanes: tuple[LaneStand, ...]
    senders: tuple[SenderStand, ...]
    sends: tuple[SendStand, ...]
    unknown: tuple[UnknownText, ...]
    processes: tuple[ProcessStand, ...]
    mail_server: MailServerStand
    queue_trouble: Cause | None
    now_ms: int

    @property
    def unknown_total(self) -> int:
        return sum(stand.unknown for stand in self.lanes if stand.lane.channel == "sms")

    @property
    def mails_due(self) -> bool:
        return any(stand.due_since_ms or stand.moving for stand in self.lanes if stand.lane.channel == "email")

    @property
    def all_paused(self) -> bool:
        return all(stand.lane.paused_at_ms is not None for stand in self.lanes)

    @property
    def any_paused(self) -> bool:
        return any(stand.lane.paused_at_ms is not None for stand in self.lanes)


def board(now_ms: int) -> Board:
    """The queue is asked last: it may take two seconds to say nothing."""
    found = traffic(now_ms)
    stands = (_lanes(now_ms), _senders(found, now_ms), _sends(found), tuple(all_unknown(_MOST_UNKNOWN)))
    processes = _processes(now_ms)
    return Board(*stands, processes, mail_server.stand(), vitals.queue_trouble(), now_ms)


def _lanes(now_ms: int) -> tuple[LaneStand, ...]:
    states = queues.lane_states()
    return tuple(_lane(lane, states.get((lane.channel, lane.lane), {}), now_ms) for lane in all_lanes())


def _lane(lane: Lane, states: dict[str, int], now_ms: int) -> LaneStand:
    due_ms = due.next_waiting_ms(lane.channel, [lane.lane])
    by = db.session.get(Account, lane.paused_by_id) if lane.paused_by_id else None
    return LaneStand(
        lane=lane,
        words=lane_words(lane.channel, lane.lane),
        waiting=states.get("ready", 0),
        resting=states.get("quiet", 0),
        held=states.get("held", 0),
        moving=states.get("sending", 0),
        unknown=states.get("unknown", 0),
        due_since_ms=due_ms if due_ms is not None and due_ms <= now_ms else None,
        paused_by=by.name if by else "the portal or the command line",
    )


def _senders(found: Traffic, now_ms: int) -> tuple[SenderStand, ...]:
    left = queues.segments_between(now_ms - PACE_MS, now_ms)
    in_use = found.gateway.sender
    stands = []
    for sender in queues.senders():
        rate = in_use.segments_per_second if in_use and sender.number in in_use.allotment.keys else None
        pace = left.get(sender.number, 0) * 1000 / PACE_MS
        rests_ms = sender.rests_until_us // 1000
        rests_until_ms = rests_ms if rests_ms > now_ms else None
        away_since_ms = sender.away_since_ms if found.is_provider_away else None
        limit = explain(sender.limit_code) if sender.limit_until_ms > now_ms else None
        slot_ms = max(sender.next_free_at_us // 1000, sender.limit_until_ms if limit else 0)
        stand = SenderStand(sender, rate, pace, slot_ms, rests_until_ms, away_since_ms, limit, sender.limit_until_ms)
        stands.append(stand)
    return tuple(stands)


def _sends(found: Traffic) -> tuple[SendStand, ...]:
    groups = progress.groups_of(list(found.sends))
    return tuple(
        SendStand(
            send=send,
            share=found.share_of(send),
            mails=groups[send.id]["email"]["waiting"],
            texts=groups[send.id]["sms"]["waiting"],
            forecast=found.forecast_of(send),
        )
        for send in found.sends.values()
    )


def _processes(now_ms: int) -> tuple[ProcessStand, ...]:
    signs = queues.signs_of_life(now_ms - vitals.ALIVE_WITHIN_MS)
    kinds = {**{kind: f"Worker for {carries}" for kind, carries in WORKERS.items()}, SCHEDULER: "Scheduler"}
    return tuple(ProcessStand(words, *signs.get(kind, (0, None))) for kind, words in kinds.items())
