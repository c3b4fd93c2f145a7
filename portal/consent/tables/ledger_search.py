"""Searches in the consent ledger for pages, exports and imports."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, or_, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import joinedload

from portal.accounts.tables.account_search import match_conditions
from portal.accounts.tables.accounts import Account, ids_with_merged
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.inbound_messages import answer_ids
from portal.consent.tables.ledger import ConsentEvent
from portal.content.tables.templates import TemplateVersion
from portal.core.extensions import db
from portal.core.keyset import Keyset, Slice
from portal.core.rules.case_folding import fold_case
from portal.core.rules.phone import parse_search_phone
from portal.core.rules.routing import SIMULATED_MODES
from portal.core.statements import in_list
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.sends.tables.sends import Send

_PHONE = re.compile(r"[0-9()+.\- ]+")
_NOT_DIGITS = re.compile(r"[^0-9]")
_MIN_DIGITS = 3
_PAGE_SIZE = 1_000
_MAX_TEXTS = 500
_SENT_TEXTS = (
    select(Attempt, Delivery, Communication)
    .join(Delivery, Delivery.id == Attempt.delivery_id)
    .join(Communication)
    .where(Delivery.channel == "sms", Attempt.outcome == "accepted", Attempt.mode.not_in(SIMULATED_MODES))
)


@dataclass(frozen=True)
class LedgerFilter:
    """Filters of a ledger search; empty ones do not apply. `query` finds a phone number or an account."""

    query: str = ""
    region: str = "US"
    kind: str = ""
    number: str = ""
    account_id: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    since_day: str = ""
    until_day: str = ""
    """The first and the last day, for events of which only the day is known."""


def ledger_page(ledger_filter: LedgerFilter, keyset: Keyset) -> Slice[ConsentEvent]:
    return keyset.fetch(_filtered(select(ConsentEvent), ledger_filter))


def count_matching(ledger_filter: LedgerFilter) -> int:
    return db.session.scalar(_filtered(select(func.count(ConsentEvent.id)), ledger_filter)) or 0


def iterate_pages(ledger_filter: LedgerFilter, through_id: int) -> Iterator[list[ConsentEvent]]:
    """Read everything up to an event in order. Each page is its own transaction, because readers may be slow."""
    after_id = 0
    while True:
        query = _filtered(select(ConsentEvent), ledger_filter)
        query = query.where(ConsentEvent.id > after_id, ConsentEvent.id <= through_id)
        events = list(db.session.scalars(query.order_by(ConsentEvent.id).limit(_PAGE_SIZE)))
        if events:
            after_id = events[-1].id
            yield events
        db.session.rollback()
        if len(events) < _PAGE_SIZE:
            return


def accounts_by_id(ids: set[int]) -> dict[int, Account]:
    return {account.id: account for account in db.session.scalars(select(Account).where(Account.id.in_(ids)))}


def numbers_by_external_id(external_ids: Sequence[str]) -> dict[str, set[str]]:
    query = select(Account.external_id, PhoneNumber.number).join(PhoneNumber.account)
    numbers: dict[str, set[str]] = defaultdict(set)
    for external_id, number in db.session.execute(query.where(in_list(Account.external_id, external_ids))):
        numbers[external_id].add(number)
    return numbers


def recorded_opt_ins(numbers: Sequence[str]) -> set[tuple[int | None, str, int, str]]:
    """Opt-ins already imported for these numbers: account, number, time of the opt-in, evidence."""
    columns = ConsentEvent.account_id, ConsentEvent.number, ConsentEvent.occurred_at_ms, ConsentEvent.text
    query = select(*columns).where(
        in_list(ConsentEvent.number, numbers), ConsentEvent.kind.in_((EventKind.OPT_IN, EventKind.EVIDENCE))
    )
    return {(row[0], row[1], row[2], row[3]) for row in db.session.execute(query)}


def recorded_at_by_event(numbers: Sequence[str]) -> dict[int, int]:
    """Map the events of these numbers to when they were recorded."""
    query = select(ConsentEvent.id, ConsentEvent.recorded_at_ms).where(in_list(ConsentEvent.number, numbers))
    return {row.id: row.recorded_at_ms for row in db.session.execute(query)}


def texts_sent_to(
    number: str, account_ids: set[int], with_all_answers: bool = False
) -> Sequence[tuple[Attempt, Delivery, Communication]]:
    """The newest texts sent to a number for these accounts, oldest first; an answer to it may be for no account."""
    template = joinedload(Communication.send).joinedload(Send.version).joinedload(TemplateVersion.template)
    included = select(Communication.id).where(Communication.account_id.in_(account_ids))
    ids = included.union(answer_ids(number)) if with_all_answers else included
    query = _SENT_TEXTS.where(Communication.id.in_(ids), Attempt.destination == number)
    newest_first = query.options(template).order_by(Attempt.started_at_ms.desc()).limit(_MAX_TEXTS)
    return db.session.execute(newest_first).all()[::-1]


def texts_following(event_ids: Sequence[int]) -> Sequence[tuple[Attempt, Delivery, Communication]]:
    """Invitations and welcomes caused by these events and sent to the numbers they were meant for."""
    query = _SENT_TEXTS.where(Communication.consent_event_id.in_(event_ids), Attempt.destination == Delivery.address)
    return db.session.execute(query.order_by(Attempt.started_at_ms)).all()


def numbers_of_account(account_id: int) -> list[str]:
    """The numbers with events about the account, in order of their first event."""
    query = select(ConsentEvent.number).where(ConsentEvent.account_id.in_(ids_with_merged(account_id)))
    return list(db.session.scalars(query.group_by(ConsentEvent.number).order_by(func.min(ConsentEvent.id))))


def _filtered(query: Select[Any], ledger_filter: LedgerFilter) -> Select[Any]:
    at_ms, day = ConsentEvent.occurred_at_ms, _event_day()
    for name in ("kind", "number"):
        if value := getattr(ledger_filter, name):
            query = query.where(getattr(ConsentEvent, name) == value)
    if ledger_filter.account_id:
        query = query.where(ConsentEvent.account_id.in_(ids_with_merged(ledger_filter.account_id)))
    if ledger_filter.since_ms is not None:
        by_time = and_(day.is_(None), at_ms >= ledger_filter.since_ms)
        query = query.where(or_(by_time, day >= ledger_filter.since_day))
    if ledger_filter.until_ms is not None:
        by_time = and_(day.is_(None), at_ms < ledger_filter.until_ms)
        query = query.where(or_(by_time, day <= ledger_filter.until_day))
    if ledger_filter.query.strip():
        query = query.where(_matches_query(ledger_filter.query, ledger_filter.region))
    return query


def _event_day() -> ColumnElement[str]:
    """The day of an event of which only the day is known (`ConsentEvent.day`); NULL for other events."""
    detail = type_coerce(ConsentEvent.detail, Text)
    if db.session.get_bind().dialect.name == "sqlite":
        return func.json_extract(detail, "$.day")
    return func.jsonb_extract_path_text(cast(detail, JSONB), "day")


def _matches_query(text: str, region: str) -> ColumnElement[bool]:
    """Match part of the number, or every word in the account's names. A whole number may have any notation."""
    account_ids = select(Account.id).where(*match_conditions(text))
    conditions: list[ColumnElement[bool]] = [ConsentEvent.account_id.in_(account_ids)]
    digits = _NOT_DIGITS.sub("", text)
    if _PHONE.fullmatch(text) and len(digits) >= _MIN_DIGITS:
        by_digits = ConsentEvent.number.contains(digits), ConsentEvent.number == parse_search_phone(text, region)
        conditions = [ConsentEvent.account_id.in_(_accounts_with_id_like(text)), *by_digits]
    return or_(*conditions)


def _accounts_with_id_like(text: str) -> Select[Any]:
    return select(Account.id).where(Account.external_id_folded.contains(fold_case(text), autoescape=True))
