"""Looking through the consent ledger: for its pages, for exports, and for what a file brings in."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, func, or_, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import joinedload

from portal.accounts.tables.account_search import match_conditions
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.content.tables.templates import TemplateVersion
from portal.core.extensions import db
from portal.core.in_list import in_list
from portal.core.rules.case_folding import fold_case
from portal.core.rules.phone import parse_search_phone
from portal.core.rules.routing import SIMULATED_MODES
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.sends.tables.sends import Send

_PHONE = re.compile(r"[0-9()+.\- ]+")
_NOT_DIGITS = re.compile(r"[^0-9]")
_MIN_DIGITS = 3
_PAGE = 1_000
_MAX_TEXTS = 500


@dataclass(frozen=True)
class LedgerFilter:
    """What is asked of the ledger; what is empty does not narrow. `words` find a number or an account's people."""

    query: str = ""
    region: str = "US"
    kind: str = ""
    number: str = ""
    account_id: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    since_day: str = ""
    until_day: str = ""
    """The first and the last day, for events of which no more than the day is known."""


def ledger_page(sought: LedgerFilter, before: int | None, limit: int) -> list[ConsentEvent]:
    """Newest first."""
    query = _filtered(select(ConsentEvent), sought)
    if before is not None:
        query = query.where(ConsentEvent.id < before)
    return list(db.session.scalars(query.order_by(ConsentEvent.id.desc()).limit(limit)))


def count_matching(sought: LedgerFilter) -> int:
    return db.session.scalar(_filtered(select(func.count(ConsentEvent.id)), sought)) or 0


def iterate_pages(sought: LedgerFilter, through_id: int) -> Iterator[list[ConsentEvent]]:
    """Everything up to an event, in order, a page at a time. Each page is a transaction: readers may be slow."""
    after_id = 0
    while True:
        query = _filtered(select(ConsentEvent), sought).where(ConsentEvent.id > after_id, ConsentEvent.id <= through_id)
        found = list(db.session.scalars(query.order_by(ConsentEvent.id).limit(_PAGE)))
        if found:
            after_id = found[-1].id
            yield found
        db.session.rollback()
        if len(found) < _PAGE:
            return


def accounts_by_id(ids: set[int]) -> dict[int, Account]:
    """The accounts with these ids, as far as there are any."""
    return {account.id: account for account in db.session.scalars(select(Account).where(Account.id.in_(ids)))}


def numbers_by_external_id(external_ids: Sequence[str]) -> dict[str, set[str]]:
    query = select(Account.external_id, PhoneNumber.number).join(PhoneNumber.account)
    found: dict[str, set[str]] = defaultdict(set)
    for external_id, number in db.session.execute(query.where(in_list(Account.external_id, external_ids))):
        found[external_id].add(number)
    return found


def recorded_opt_ins(numbers: Sequence[str]) -> set[tuple[int | None, str, int, str]]:
    """What was brought in for these numbers: account, number, when it was given, and the evidence."""
    columns = ConsentEvent.account_id, ConsentEvent.number, ConsentEvent.occurred_at_ms, ConsentEvent.text
    query = select(*columns).where(
        in_list(ConsentEvent.number, numbers), ConsentEvent.kind.in_((EventKind.OPT_IN, EventKind.EVIDENCE))
    )
    return {(row[0], row[1], row[2], row[3]) for row in db.session.execute(query)}


def decided_replies_page(before: int | None, limit: int) -> list[InboundMessage]:
    """Replies that an administrator has decided about, newest first."""
    query = select(InboundMessage).where(InboundMessage.needs_review == True, InboundMessage.decision != "")  # noqa: E712
    if before is not None:
        query = query.where(InboundMessage.id < before)
    return list(db.session.scalars(query.order_by(InboundMessage.id.desc()).limit(limit)))


def recorded_at_by_event(number: str) -> dict[int, int]:
    """When each of the number's events came into the ledger."""
    query = select(ConsentEvent.id, ConsentEvent.recorded_at_ms).where(ConsentEvent.number == number)
    return {row.id: row.recorded_at_ms for row in db.session.execute(query)}


def texts_sent_to(number: str, carriers: set[int]) -> list[tuple[Attempt, Delivery, Communication]]:
    """Texts that left for a number, to accounts that carry it or did; the newest of them, oldest first."""
    template = joinedload(Communication.send).joinedload(Send.version).joinedload(TemplateVersion.template)
    query = (
        _sent_texts_query()
        .where(Communication.account_id.in_(carriers), Attempt.destination == number)
        .options(template)
    )
    rows = db.session.execute(query.order_by(Attempt.started_at_ms.desc()).limit(_MAX_TEXTS)).all()
    return [(row[0], row[1], row[2]) for row in reversed(rows)]


def texts_following(event_ids: Sequence[int]) -> list[tuple[Attempt, Delivery, Communication]]:
    """Invitations and welcomes that followed from these events and left for the numbers they were meant for."""
    followed = Communication.consent_event_id.in_(event_ids), Attempt.destination == Delivery.address
    rows = db.session.execute(_sent_texts_query().where(*followed).order_by(Attempt.started_at_ms))
    return [(row[0], row[1], row[2]) for row in rows]


def numbers_of_account(account_id: int) -> list[str]:
    """The numbers of which the ledger knows something about the account, in the order in which it came to know them."""
    query = select(ConsentEvent.number).where(ConsentEvent.account_id == account_id)
    return list(db.session.scalars(query.group_by(ConsentEvent.number).order_by(func.min(ConsentEvent.id))))


def _sent_texts_query() -> Select[Attempt, Delivery, Communication]:
    return (
        select(Attempt, Delivery, Communication)
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .join(Communication)
        .where(Delivery.channel == "sms", Attempt.outcome == "accepted", Attempt.mode.not_in(SIMULATED_MODES))
    )


def _filtered(query: Select[Any], sought: LedgerFilter) -> Select[Any]:
    chosen: dict[Any, Any] = {
        ConsentEvent.kind: sought.kind,
        ConsentEvent.number: sought.number,
        ConsentEvent.account_id: sought.account_id,
    }
    query = query.where(*(column == value for column, value in chosen.items() if value))
    if sought.since_ms is not None:
        query = query.where(
            _in_period(ConsentEvent.occurred_at_ms >= sought.since_ms, _event_day_column() >= sought.since_day)
        )
    if sought.until_ms is not None:
        query = query.where(
            _in_period(ConsentEvent.occurred_at_ms < sought.until_ms, _event_day_column() <= sought.until_day)
        )
    return query.where(_matches_query(sought.query, sought.region)) if sought.query.strip() else query


def _in_period(by_time: ColumnElement[bool], by_day: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(and_(_event_day_column().is_(None), by_time), by_day)


def _event_day_column() -> ColumnElement[str]:
    """The day of an event of which no more is known (`ConsentEvent.day`); NULL for the others."""
    detail = type_coerce(ConsentEvent.detail, Text)
    if db.session.get_bind().dialect.name == "sqlite":
        return func.json_extract(detail, "$.day")
    return func.jsonb_extract_path_text(cast(detail, JSONB), "day")


def _matches_query(words: str, region: str) -> ColumnElement[bool]:
    """Part of the number, or every word in what the account is called. A whole number may be written in any way."""
    people = select(Account.id).where(*match_conditions(words))
    found: list[ColumnElement[bool]] = [ConsentEvent.account_id.in_(people)]
    digits = _NOT_DIGITS.sub("", words)
    if _PHONE.fullmatch(words) and len(digits) >= _MIN_DIGITS:
        by_digits = ConsentEvent.number.contains(digits), ConsentEvent.number == parse_search_phone(words, region)
        found = [ConsentEvent.account_id.in_(_accounts_named(words)), *by_digits]
    return or_(*found)


def _accounts_named(words: str) -> Select[Any]:
    folded = func.coalesce(Account.external_id_folded, func.lower(Account.external_id))
    return select(Account.id).where(folded.contains(fold_case(words), autoescape=True))
