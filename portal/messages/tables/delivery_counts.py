"""Delivery counts by channel, state and send, and what is waiting."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func, select

from portal.accounts.rules.recipient_places import AREA_DIGITS, place_of
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState, sender_bucket_of
from portal.core.extensions import db
from portal.core.rules.delivery_status import STATES, WAITING, DeliveryState
from portal.core.rules.limits.quiet_hours import Place
from portal.core.rules.routing import TextKind
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.delivery_totals import Total, all_time_counts, totals

_ZONE_SAMPLE_SIZE = 20_000
"""A sample this large finds every time zone with more than a handful of recipients in 100,000."""

GroupCounts = dict[str, Counter[str]]
"""Channel to group (`delivery_status.GROUPS`) to count."""


def delivery_counts(send_id: int) -> dict[str, dict[str, int]]:
    """Channel to state to count, for one send."""
    return {channel: dict(states) for channel, states in state_counts([send_id])[send_id].items()}


def group_counts_by_send(send_ids: Sequence[int]) -> dict[int, GroupCounts]:
    """Send id to its group counts, in one query for a page of sends."""
    counts: dict[int, GroupCounts] = defaultdict(_by_channel)
    for send_id, channels in state_counts(send_ids).items():
        for channel, states in channels.items():
            for state, count in states.items():
                counts[send_id][channel][STATES[state].group] += count
    return counts


def state_counts(send_ids: Sequence[int]) -> dict[int, dict[str, Counter[str]]]:
    """Send id to channel to state to count. Texts whose status is no longer checked are in a state of their own."""
    counts: dict[int, dict[str, Counter[str]]] = defaultdict(_by_channel)
    for (send_id, channel, state), total in totals(("send_id", "channel", "state"), send_ids=send_ids).items():
        counts[send_id][channel][state] = total.count
    return counts


def channel_state_counts(send_ids: Collection[int] = ()) -> dict[tuple[str, str], int]:
    """Channel and state to count, over these sends or, without any, of all time."""
    if not send_ids:
        return all_time_counts()
    return {(key[0], key[1]): total.count for key, total in totals(("channel", "state"), send_ids=send_ids).items()}


def _by_channel() -> dict[str, Counter[str]]:
    return {"email": Counter(), "sms": Counter()}


def text_states(send_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Send id to state to number of texts, in one query."""
    return {send_id: dict(channels["sms"]) for send_id, channels in state_counts(send_ids).items()}


def sampling_interval(waiting: int) -> int:
    """Sample every how many rows: an odd number, because emails and texts alternate."""
    return waiting // _ZONE_SAMPLE_SIZE | 1


def _sampled_waiting(send_ids: Sequence[int], interval: int) -> tuple[ColumnElement[bool], ...]:
    waiting = (Delivery.send_id.in_(send_ids), Delivery.channel == "sms", Delivery.state.in_(WAITING))
    return (*waiting, Delivery.id % interval == 0) if interval > 1 else waiting


def waiting_places(send_ids: Sequence[int], interval: int = 1) -> dict[int, Counter[Place]]:
    """Send id to place to number of sampled waiting texts (see `sampling_interval`)."""
    area = func.substr(Delivery.address, 2, AREA_DIGITS)
    query = (
        select(Delivery.send_id, area, Account.timezone, func.count())
        .join(Communication, Communication.id == Delivery.communication_id)
        .join(Account, Account.id == Communication.account_id)
        .where(*_sampled_waiting(send_ids, interval))
        .group_by(Delivery.send_id, area, Account.timezone)
    )
    counts: dict[int, Counter[Place]] = defaultdict(Counter)
    for send_id, digits, timezone, count in db.session.execute(query):
        counts[send_id or 0][place_of(digits, timezone)] += count
    return counts


def senders_of_waiting(send_ids: Sequence[int], interval: int) -> list[tuple[str, str | None, int]]:
    """Bucket of the phone, preferred sending number and count, for the sampled waiting texts of these sends."""
    bucket = sender_bucket_of(Delivery.address)
    query = (
        select(bucket, PhoneState.preferred_sender, func.count())
        .select_from(Delivery)
        .outerjoin(PhoneState, PhoneState.number == Delivery.address)
        .where(*_sampled_waiting(send_ids, interval))
        .group_by(bucket, PhoneState.preferred_sender)
    )
    return list(db.session.execute(query))


def senders_of_enabled() -> list[tuple[str, str | None, int]]:
    """Like `senders_of_waiting`, for a sample of the phones that are enabled for texts."""
    interval = sampling_interval(db.session.scalar(select(func.max(PhoneNumber.id))) or 0)
    bucket = sender_bucket_of(PhoneNumber.number)
    query = (
        select(bucket, PhoneState.preferred_sender, func.count())
        .select_from(PhoneNumber)
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .where(PhoneNumber.receives_sms == True, PhoneNumber.id % interval == 0)  # noqa: E712  SQL, not Python
        .group_by(bucket, PhoneState.preferred_sender)
    )
    return list(db.session.execute(query))


def average_segments(send_id: int) -> float:
    """Average segments per waiting text."""
    total = totals((), send_ids=[send_id], channel="sms", states=WAITING).get((), Total(0, 0))
    return total.segments / total.count if total.count else 1.0


def unattached_texts() -> tuple[int, int]:
    """Count and segments of waiting texts without a send: invitations, welcomes and test texts."""
    total = totals((), send_ids=[0], channel="sms", states=[DeliveryState.READY]).get((), Total(0, 0))
    return total.count, total.segments


def count_waiting(channel: str) -> int:
    """Ready or deferred messages, test texts excluded: those keep the mode they were requested in."""
    waiting = totals(("kind",), channel=channel, states=[DeliveryState.READY, DeliveryState.DEFERRED])
    return sum(total.count for (kind,), total in waiting.items() if kind != TextKind.TEST)
