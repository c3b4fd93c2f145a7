"""Ready messages, and what a worker needs to know about each before it is sent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Integer, Select, and_, bindparam, func, literal, select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState, sender_bucket_of
from portal.content.tables.templates import Template, TemplateVersion
from portal.content.tables.topics import TopicOptOut
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.routing import DEACTIVATED_CODE, RecipientPhone, TextKind
from portal.core.rules.sender_assignment import SenderAssignment
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.unsent_messages import LANES, READY
from portal.sends.tables.sends import Send, target_state

_PREFERRED_SENDER = func.coalesce(Communication.requested_sender, PhoneState.preferred_sender)
"""The sending number to use; null if the phone’s bucket decides."""
_CURRENT_PHONE = and_(PhoneNumber.number == Delivery.address, PhoneNumber.account_id == Communication.account_id)


_AnySelect = Select[*tuple[Any, ...]]
_LIMIT: BindParameter[int] = bindparam("limit", type_=Integer)


def _of_lane(query: _AnySelect, limit: ColumnElement[int]) -> _AnySelect:
    """The first due rows of a lane, in queue order."""
    is_due = READY, Delivery.lane == bindparam("lane"), Delivery.due_at_ms <= bindparam("until_ms")
    return query.where(*is_due).order_by(Delivery.queue_position, Delivery.id).limit(limit)


_IS_TOPIC_OFF = (
    select(literal(1))
    .select_from(TemplateVersion)
    .join(Template, Template.id == TemplateVersion.template_id)
    .join(TopicOptOut, TopicOptOut.topic_id == Template.topic_id)
    .where(TemplateVersion.id == Send.template_version_id, TopicOptOut.account_id == Communication.account_id)
    .correlate(Send, Communication)
    .exists()
)
_TEXT_QUERY = (
    select(
        Delivery.id,
        Delivery.body,
        Delivery.segments,
        Delivery.address,
        PhoneNumber.receives_sms,
        PhoneState.stopped_at_ms,
        PhoneState.unreachable_at_ms,
        PhoneState.unreachable_code,
        _PREFERRED_SENDER.label("preferred_sender"),
        Communication.kind,
        Communication.requested_mode,
        Delivery.lane,
        Delivery.queue_position,
        Delivery.sms_expires_at_ms,
        Delivery.attempt_count,
        Account.timezone,
        Account.language,
        Account.active,
        Send.paused_at_ms,
        Send.state.label("send_state"),
        _IS_TOPIC_OFF.label("is_topic_off"),
    )
    .join(Communication, Communication.id == Delivery.communication_id)
    .join(Account, Account.id == Communication.account_id)
    .outerjoin(PhoneNumber, _CURRENT_PHONE)
    .outerjoin(PhoneState, PhoneState.number == Delivery.address)
    .outerjoin(Send, Send.id == Delivery.send_id)
    .where(Delivery.channel == "sms")
)
"""Texts with the input of the routing decision."""
_EMAIL_QUERY = (
    select(Delivery.id, Delivery.address, Delivery.lane, Delivery.queue_position)
    .add_columns(Send.state, Send.paused_at_ms, Account.active)
    .join(Communication, Communication.id == Delivery.communication_id)
    .join(Account, Account.id == Communication.account_id)
    .outerjoin(Send, Send.id == Delivery.send_id)
    .where(Delivery.channel == "email")
)
_EMAILS_OF_LANE, _TEXTS_OF_LANE = (
    _of_lane(query, _LIMIT).with_for_update(skip_locked=True, of=Delivery) for query in (_EMAIL_QUERY, _TEXT_QUERY)
)
_CANDIDATES = (
    select(Delivery.id, Delivery.address, _PREFERRED_SENDER, Delivery.lane, Delivery.queue_position)
    .join(Communication, Communication.id == Delivery.communication_id)
    .outerjoin(PhoneState, PhoneState.number == Delivery.address)
    .where(Delivery.channel == "sms")
)
_CANDIDATES_OF_LANE = _of_lane(_CANDIDATES, _LIMIT)
_IS_TEST = and_(Delivery.lane == Lane.URGENT, Communication.kind == TextKind.TEST)


@dataclass(frozen=True)
class WaitingText:
    """A ready text, with the current facts that routing needs."""

    delivery_id: int
    body: str
    segments: int
    recipient: RecipientPhone
    kind: str
    is_on_account: bool
    is_account_active: bool
    lane: int
    queue_position: int
    target_state: DeliveryState
    """The state its send wants: ready, paused or canceled."""
    timezone: str
    language: str
    """That the account has chosen; "" for none."""
    sms_expires_at_ms: int | None
    requested_mode: str | None
    attempt_count: int
    is_topic_off: bool
    """The account has switched off texts about the template's topic, and the text is not urgent."""
    preferred_sender: str | None
    """The sending number this handset texted START to, or the one a test text was requested for."""


class WaitingEmail(NamedTuple):
    """A ready email, and the state its send wants: ready, paused or canceled."""

    delivery_id: int
    address: str
    lane: int
    queue_position: int
    target_state: DeliveryState
    is_account_active: bool


@dataclass(frozen=True)
class ExcludedSenders:
    """Sending numbers that a claim skips entirely, and those from which it takes test texts only."""

    assignment: SenderAssignment
    all_texts: tuple[str, ...]
    all_but_tests: tuple[str, ...]


class Candidate(NamedTuple):
    """A text near the head of its lane."""

    delivery_id: int
    phone: str
    preferred_sender: str | None
    lane: int
    queue_position: int


SCAN_LIMIT, DEEP_SCAN_LIMIT = 500, 30_000
"""Texts a claim looks at, and how far it scans if the first all belong to other numbers: 50 ms at most."""


def waiting_texts(
    until_ms: int, limit: int, lanes: Sequence[int] = LANES, only_tests: bool = False, ids: Sequence[int] | None = None
) -> list[WaitingText]:
    """In order of lane and queue position; locked, and rows locked by others skipped. If `ids` is given, only those."""
    query = _TEXTS_OF_LANE.where(_IS_TEST) if only_tests else _TEXTS_OF_LANE
    if ids is not None:
        query = query.where(Delivery.id.in_(ids))
    return [_to_waiting_text(row) for row in _lane_by_lane(query, until_ms, limit, lanes)]


def _lane_by_lane(query: _AnySelect, until_ms: int, limit: int, lanes: Sequence[int]) -> Iterator[Any]:
    """The first rows of all lanes, in the order of an index, which ends after `limit` of them.

    Asked for several lanes at once, PostgreSQL may read and sort everything that waits, in every claim.
    """
    for lane in lanes:
        rows = db.session.execute(query, {"lane": lane, "until_ms": until_ms, "limit": limit}).all() if limit else []
        limit -= len(rows)
        yield from rows


def next_candidates(
    until_ms: int, lanes: Sequence[int], only_tests: bool, excluded: ExcludedSenders, scan_limit: int | None = None
) -> list[Candidate]:
    """Without locking. With `scan_limit`, search only that many texts: nearly all of them may be excluded."""
    query = _CANDIDATES_OF_LANE
    if scan_limit is not None:
        scanned = _of_lane(select(Delivery.id).where(Delivery.channel == "sms"), literal(scan_limit))
        query = query.where(Delivery.id.in_(scanned))
    if only_tests:
        query = query.where(_IS_TEST)
    if excluded.all_texts:
        query = query.where(~_comes_from(excluded.assignment, excluded.all_texts))
    if excluded.all_but_tests:
        query = query.where(_IS_TEST | ~_comes_from(excluded.assignment, excluded.all_but_tests))
    return [Candidate(*row) for row in _lane_by_lane(query, until_ms, SCAN_LIMIT, lanes)]


def _comes_from(assignment: SenderAssignment, keys: Sequence[str]) -> ColumnElement[bool]:
    """The condition for `SenderAssignment.sender_for` being one of these numbers."""
    preferred = func.coalesce(_PREFERRED_SENDER, "")
    bucket = sender_bucket_of(Delivery.address)
    return preferred.in_(keys) | (preferred.not_in(assignment.sender_keys) & bucket.in_(assignment.buckets_of(keys)))


def _to_waiting_text(row: Any) -> WaitingText:
    is_opted_out, is_unreachable = row.stopped_at_ms is not None, row.unreachable_at_ms is not None
    return WaitingText(
        delivery_id=row.id,
        body=row.body,
        segments=row.segments,
        recipient=RecipientPhone(
            row.address,
            bool(row.receives_sms),
            False,
            is_opted_out,
            is_unreachable,
            row.unreachable_code == DEACTIVATED_CODE,
        ),
        kind=row.kind,
        is_on_account=row.receives_sms is not None,
        is_account_active=bool(row.active),
        lane=row.lane,
        queue_position=row.queue_position,
        target_state=target_state(row.send_state, row.paused_at_ms),
        timezone=row.timezone,
        language=row.language,
        sms_expires_at_ms=row.sms_expires_at_ms,
        requested_mode=row.requested_mode,
        attempt_count=row.attempt_count,
        is_topic_off=bool(row.is_topic_off) and row.lane != Lane.URGENT,
        preferred_sender=row.preferred_sender,
    )


def waiting_emails(until_ms: int, limit: int, lanes: Sequence[int] = LANES) -> list[WaitingEmail]:
    """Like `waiting_texts`."""
    return [
        WaitingEmail(
            row.id,
            row.address,
            row.lane,
            row.queue_position,
            target_state(row.state, row.paused_at_ms),
            bool(row.active),
        )
        for row in _lane_by_lane(_EMAILS_OF_LANE, until_ms, limit, lanes)
    ]
