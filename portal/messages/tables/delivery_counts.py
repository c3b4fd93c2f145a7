"""How far things are: counts by channel and state, and what waits."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select, true

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState, sender_bucket_of
from portal.core.extensions import db
from portal.core.rules.delivery_status import AWAITING_RECEIPT, NO_FURTHER_CHECK_MS, STATES, WAITING, DeliveryState
from portal.core.rules.routing import TextKind
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.unsent_messages import LANES

_SEGMENT_SAMPLE_SIZE = 300
_ZONE_SAMPLE_SIZE = 20_000
"""So many texts show every time zone that more than a handful in 100,000 live in."""

GroupCounts = dict[str, Counter[str]]
"""Channel to group of `core.rules.delivery_status.GROUPS` to how many."""


def delivery_counts(send_id: int) -> dict[str, dict[str, int]]:
    """Channel to state to how many, for one send."""
    query = (
        select(Delivery.channel, Delivery.state, func.count())
        .where(Delivery.send_id == send_id)
        .group_by(Delivery.channel, Delivery.state)
    )
    found: dict[str, dict[str, int]] = {"email": {}, "sms": {}}
    for channel, state, number in db.session.execute(query):
        found[channel][state] = number
    for _, state, number in _no_receipt_counts([send_id]):
        found["sms"][state] -= number
        found["sms"]["no_receipt"] = found["sms"].get("no_receipt", 0) + number
    return {channel: {state: number for state, number in states.items() if number} for channel, states in found.items()}


def _no_receipt_counts(send_ids: Sequence[int]) -> list[tuple[int, str, int]]:
    """Send, stored state and number of the texts that are asked after no more (`core.rules.delivery_status.standing`).

    By the index on channel, state, lane and time, which leads to these rows alone.
    """
    query = (
        select(Delivery.send_id, Delivery.state, func.count())
        .where(
            Delivery.channel == "sms",
            Delivery.state.in_(AWAITING_RECEIPT),
            Delivery.lane.in_(LANES),
            Delivery.due_at_ms >= NO_FURTHER_CHECK_MS,
            Delivery.send_id.in_(send_ids),
        )
        .group_by(Delivery.send_id, Delivery.state)
    )
    return [(send_id or 0, state, number) for send_id, state, number in db.session.execute(query)]


def text_states(send_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Send id to state to how many of its texts, in one query."""
    query = (
        select(Delivery.send_id, Delivery.state, func.count())
        .where(Delivery.send_id.in_(send_ids), Delivery.channel == "sms")
        .group_by(Delivery.send_id, Delivery.state)
    )
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for send_id, state, number in db.session.execute(query):
        found[send_id or 0][state] = number
    return found


def sampling_interval(waiting: int) -> int:
    """Of very many texts every third, fifth … shows how they are spread, and 1 says all of them.

    Never every second or fourth: mails lie between texts, so those would be all of them, or none.
    """
    return waiting // _ZONE_SAMPLE_SIZE | 1


def waiting_time_zones(send_ids: Sequence[int], interval: int = 1) -> dict[int, dict[str, int]]:
    """Send id to time zone to how many of its waiting texts go there, of every so many (`sampling_interval`)."""
    query = (
        select(Delivery.send_id, Account.timezone, func.count())
        .join(Communication, Communication.id == Delivery.communication_id)
        .join(Account, Account.id == Communication.account_id)
        .where(Delivery.send_id.in_(send_ids), Delivery.channel == "sms", Delivery.state.in_(WAITING))
        .where(Delivery.id % interval == 0 if interval > 1 else true())
        .group_by(Delivery.send_id, Account.timezone)
    )
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for send_id, zone, number in db.session.execute(query):
        found[send_id or 0][zone] = number
    return found


def senders_of_waiting(send_ids: Sequence[int], every: int) -> list[tuple[str, str | None, int]]:
    """Of these sends' waiting texts: last digits of the number, the number of ours that is known there, how many."""
    lot = sender_bucket_of(Delivery.address)
    query = (
        select(lot, PhoneState.preferred_sender, func.count())
        .select_from(Delivery)
        .outerjoin(PhoneState, PhoneState.number == Delivery.address)
        .where(Delivery.send_id.in_(send_ids), Delivery.channel == "sms", Delivery.state.in_(WAITING))
        .where(Delivery.id % every == 0 if every > 1 else true())
        .group_by(lot, PhoneState.preferred_sender)
    )
    return [(digits, knows, number) for digits, knows, number in db.session.execute(query)]


def senders_of_enabled() -> list[tuple[str, str | None, int]]:
    """As `senders_of_waiting`, of numbers that are enabled for texts; of very many of a part."""
    every = sampling_interval(db.session.scalar(select(func.max(PhoneNumber.id))) or 0)
    lot = sender_bucket_of(PhoneNumber.number)
    query = (
        select(lot, PhoneState.preferred_sender, func.count())
        .select_from(PhoneNumber)
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .where(PhoneNumber.receives_sms == True, PhoneNumber.id % every == 0)  # noqa: E712  SQL, not Python
        .group_by(lot, PhoneState.preferred_sender)
    )
    return [(digits, knows, number) for digits, knows, number in db.session.execute(query)]


def average_segments(send_id: int) -> float:
    """What a text of the send weighs, by those of its texts that wait, or by some of them."""
    some = (
        select(Delivery.segments)
        .where(Delivery.send_id == send_id, Delivery.channel == "sms", Delivery.state.in_(WAITING))
        .limit(_SEGMENT_SAMPLE_SIZE)
    )
    return float(db.session.scalar(select(func.avg(some.subquery().c.segments))) or 1.0)


def unattached_texts() -> tuple[int, int]:
    """Invitations, welcome texts and test texts that wait: how many, and their segments."""
    query = select(func.count(), func.coalesce(func.sum(Delivery.segments), 0))
    row = db.session.execute(
        query.where(Delivery.send_id.is_(None), Delivery.channel == "sms", Delivery.state == DeliveryState.READY)
    ).one()
    return row[0], int(row[1])


def count_waiting(channel: str) -> int:
    """Messages that wait for their turn or for the morning; test texts keep to the mode they were asked for in."""
    query = select(func.count()).select_from(Delivery).join(Communication)
    wanted = (
        Delivery.channel == channel,
        Delivery.state.in_((DeliveryState.READY, DeliveryState.DEFERRED)),
        Communication.kind != TextKind.TEST,
    )
    return db.session.scalar(query.where(*wanted)) or 0


def group_counts_by_send(send_ids: Sequence[int]) -> dict[int, GroupCounts]:
    """Send id to its groups, in one query for a page of sends."""
    query = (
        select(Delivery.send_id, Delivery.channel, Delivery.state, func.count())
        .where(Delivery.send_id.in_(send_ids))
        .group_by(Delivery.send_id, Delivery.channel, Delivery.state)
    )
    found: dict[int, GroupCounts] = defaultdict(lambda: {"email": Counter(), "sms": Counter()})
    for send_id, channel, state, number in db.session.execute(query):
        found[send_id or 0][channel][STATES[state].group] += number
    for send_id, state, number in _no_receipt_counts(send_ids):
        found[send_id]["sms"][STATES[state].group] -= number
        found[send_id]["sms"][STATES[DeliveryState.NO_RECEIPT].group] += number
    return found


def total_counts() -> list[tuple[str, str, int]]:
    """Channel, state and how many, over everything."""
    query = select(Delivery.channel, Delivery.state, func.count()).group_by(Delivery.channel, Delivery.state)
    return [(channel, state, number) for channel, state, number in db.session.execute(query)]


def oldest_waiting_ms(now_ms: int) -> dict[str, int]:
    """Channel to when its oldest message that may leave now was made."""
    query = (
        select(Delivery.channel, func.min(Delivery.created_at_ms))
        .where(Delivery.state == DeliveryState.READY, Delivery.due_at_ms <= now_ms)
        .group_by(Delivery.channel)
    )
    return {channel: at_ms for channel, at_ms in db.session.execute(query)}
