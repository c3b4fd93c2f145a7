"""The consent ledger: rows are only added, and each is chained to the one before (`consent.rules.hash_chain`)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Index, Text, func, insert, select, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.tables.accounts import ids_with_merged
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.consent.rules import hash_chain
from portal.consent.rules.consent_state import EventKind, LedgerEvent
from portal.consent.tables import consent_reports
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db
from portal.core.log_integrity import mac_writing
from portal.core.log_integrity.log_macs import LOGS, ProtectedLog
from portal.core.statements import in_list

_FOREVER_MS = 2**62
_CONSENT_KINDS = (EventKind.OPT_IN, EventKind.EVIDENCE, EventKind.START, EventKind.MOVED)
_PAGE_SIZE = 1_000


class ConsentEvent(Base):
    """One line of the ledger: who opted in or out, when, with which text, and who recorded it.

    `account_id` is the account whose texts it is about, `actor_id` who acted in the portal. `text` is what the handset
    sent, or the exact prompt shown (`content_block` and `content_block_version` name it). Triggers refuse every change.
    """

    __tablename__ = "consent_event"
    __table_args__ = (
        Index("ix_consent_event_number", "number", "id"),
        Index("ix_consent_event_account", "account_id", "id"),
        Index("ix_consent_event_kind", "kind", "occurred_at_ms"),
        Index(
            "uq_consent_event_message",
            "message_sid",
            unique=True,
            sqlite_where=text("message_sid <> ''"),
            postgresql_where=text("message_sid <> ''"),
        ),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True, autoincrement=False)
    number: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int | None] = mapped_column(BigIntKey)
    actor_id: Mapped[int | None] = mapped_column(BigIntKey)
    kind: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    content_block: Mapped[str] = mapped_column(Text)
    content_block_version: Mapped[int | None]
    message_sid: Mapped[str] = mapped_column(Text)
    ip: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)
    detail: Mapped[Any] = mapped_column(Json)
    occurred_at_ms: Mapped[int] = mapped_column(Millis)
    recorded_at_ms: Mapped[int] = mapped_column(Millis)
    previous_digest: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)

    @property
    def day(self) -> str:
        """Such as 2026-03-01, if only the day is known; `occurred_at_ms` is then the beginning of that day."""
        return str((self.detail or {}).get("day", ""))


class ChainHead(Base):
    """The end of the chain: one row, which every transaction that adds to the ledger locks."""

    __tablename__ = "consent_head"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    last_id: Mapped[int] = mapped_column(BigIntKey)
    digest: Mapped[str] = mapped_column(Text)


CONSENT_LEDGER = "consent"
LEDGER_COLUMNS = tuple(column.name for column in ConsentEvent.__table__.columns)
_MESSAGE_JOIN = (InboundMessage.provider_id == ConsentEvent.message_sid) & (ConsentEvent.message_sid != "")
_EVENTS = select(
    ConsentEvent.id,
    ConsentEvent.number,
    ConsentEvent.kind,
    ConsentEvent.account_id,
    ConsentEvent.occurred_at_ms,
    ConsentEvent.detail,
    InboundMessage.order_at_ms,
    InboundMessage.order_rank,
    InboundMessage.order_confirmed,
).outerjoin(InboundMessage, _MESSAGE_JOIN)
_EVENT_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("account_id", "actor_id", "content_block_version")),
    **dict.fromkeys(("text", "content_block", "message_sid", "ip", "user_agent"), ""),
    "detail": {},
}


def _content(row: Any) -> str:
    """The digest that the stored values have: it covers all of them, and the event before."""
    event = dict(zip(LEDGER_COLUMNS, row, strict=True))
    return hash_chain.event_digest(event["previous_digest"], event)


LOGS[CONSENT_LEDGER] = ProtectedLog(
    CONSENT_LEDGER, ConsentEvent, ConsentEvent.id, tuple(ConsentEvent.__table__.columns), _content
)


def lock_ledger() -> ChainHead:
    """Keep all others from changing consent until the transaction ends, so that what is read now stays true."""
    return db.session.scalars(select(ChainHead).with_for_update().execution_options(populate_existing=True)).one()


def append(*events: dict[str, Any]) -> int:
    """Add events at the end of the chain and return the id of the last one. Inside a transaction.

    Each needs number, kind, source, occurred_at_ms and recorded_at_ms; other columns default to empty.
    """
    head, rows = lock_ledger(), []
    last_id, last_digest = head.last_id, head.digest
    for event in events:
        row = {**_EVENT_DEFAULTS, **event, "id": last_id + 1, "previous_digest": last_digest}
        row["digest"] = hash_chain.event_digest(last_digest, row)
        last_id, last_digest = row["id"], row["digest"]
        rows.append(row)
    if rows:
        db.session.connection().execute(insert(ConsentEvent), rows)
        head.last_id, head.digest = last_id, last_digest
        db.session.flush()
        mac_writing.note_rows(CONSENT_LEDGER, [(row["id"], row["digest"]) for row in rows], rows[-1]["recorded_at_ms"])
        consent_reports.add_reports(rows)
    return last_id


def all_events() -> Iterator[dict[str, Any]]:
    """Read the whole ledger in order, a page at a time, for `consent.rules.hash_chain`."""
    query = select(*ConsentEvent.__table__.columns).order_by(ConsentEvent.id)
    for row in db.session.execute(query, execution_options={"yield_per": _PAGE_SIZE}):
        yield row._asdict()


def event_values(event: ConsentEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in LEDGER_COLUMNS}


def chain_head() -> tuple[int, str]:
    """The id and the digest of the last event as the ledger stores them; (0, "") if that row was deleted."""
    head = db.session.execute(select(ChainHead.last_id, ChainHead.digest)).first()
    return (head.last_id, head.digest) if head else (0, "")


def events_of(number: str) -> list[LedgerEvent]:
    """The events of one number, for `consent.rules.consent_state.derive_state`."""
    return events_by_number([number]).get(number, [])


def events_by_number(numbers: Sequence[str]) -> dict[str, list[LedgerEvent]]:
    """Map numbers to their events: the lines of the ledger, and when which account got the number.

    Numbers without events are left out.
    """
    kinds = set(EventKind)
    query = _EVENTS.where(in_list(ConsentEvent.number, numbers))
    rows = [row for row in db.session.execute(query) if row.kind in kinds]
    spans = _ownership_spans(numbers, rows)
    events: dict[str, list[LedgerEvent]] = defaultdict(list)
    for number, owners in spans.items():
        events[number] += [LedgerEvent(0, EventKind.ADDED, since_ms, account) for account, since_ms, _until in owners]
    for row in rows:
        events[row.number].append(_to_event(row, spans[row.number]))
    return dict(events)


def accounts_with_number_at(number: str, at_ms: int) -> frozenset[int]:
    """The accounts that had the number at that time, as far as is known now."""
    query = _EVENTS.where(ConsentEvent.number == number, ConsentEvent.kind == EventKind.REMOVED)
    rows = db.session.execute(query).all()
    return _accounts_at(_ownership_spans([number], rows)[number], at_ms)


def consented_numbers(account_id: int) -> set[str]:
    """Where the account, or one merged into it, ever got texts or has evidence of an opt-in.

    A request is not enough.
    """
    query = select(ConsentEvent.number).where(ConsentEvent.account_id.in_(ids_with_merged(account_id)))
    return set(db.session.scalars(query.where(ConsentEvent.kind.in_(_CONSENT_KINDS)).distinct()))


def has_consented_for_all_numbers(account_id: int) -> bool:
    """The same for every number that the account has or had."""
    own = select(PhoneNumber.number).where(PhoneNumber.account_id == account_id)
    removed = select(ConsentEvent.number).where(
        ConsentEvent.account_id == account_id, ConsentEvent.kind == EventKind.REMOVED
    )
    return set(db.session.scalars(own.union(removed))) <= consented_numbers(account_id)


def has_stop_since(number: str, since_ms: int) -> bool:
    """Return whether a STOP from any source was recorded since then."""
    query = select(ConsentEvent.id).where(
        ConsentEvent.number == number, ConsentEvent.kind == EventKind.STOP, ConsentEvent.recorded_at_ms >= since_ms
    )
    return db.session.scalar(query.limit(1)) is not None


def stored_status(number: str) -> tuple[int | None, ...]:
    """What every status of the number depends on: its newest event, and its stored state. One query."""
    newest_id = select(func.max(ConsentEvent.id)).where(ConsentEvent.number == number).scalar_subquery()
    states = [PhoneState.stopped_at_ms, PhoneState.unreachable_at_ms]
    columns = [select(state).where(PhoneState.number == number).scalar_subquery() for state in states]
    return tuple(db.session.execute(select(newest_id, *columns)).one())


def inbound_message_of(event_id: int) -> InboundMessage | None:
    """The text from the handset that caused the event."""
    query = select(InboundMessage).join(ConsentEvent, _MESSAGE_JOIN)
    return db.session.scalars(query.where(ConsentEvent.id == event_id)).one_or_none()


def request_times(kinds: Sequence[EventKind], since_ms: int, **filters: Any) -> list[int]:
    """When texts were requested since then, oldest first; `filters` are number, account_id or ip."""
    at_ms = ConsentEvent.occurred_at_ms
    query = select(at_ms).where(ConsentEvent.kind.in_(kinds), at_ms > since_ms).filter_by(**filters)
    return list(db.session.scalars(query.order_by(at_ms)))


def count_events() -> int:
    return db.session.scalar(select(func.count(ConsentEvent.id))) or 0


def event_with_digest(digest: str) -> int | None:
    return db.session.scalar(select(ConsentEvent.id).where(ConsentEvent.digest == digest).limit(1))


def _ownership_spans(numbers: Sequence[str], events: Sequence[Any]) -> dict[str, list[tuple[int, int, int]]]:
    """Map numbers to (account, added, removed), the periods in which accounts had them."""
    columns = PhoneNumber.number, PhoneNumber.account_id, PhoneNumber.created_at_ms
    spans: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    query = select(*columns).where(in_list(PhoneNumber.number, numbers))
    for number, account_id, added_ms in db.session.execute(query):
        spans[number].append((account_id, added_ms, _FOREVER_MS))
    for event in events:
        if event.kind == EventKind.REMOVED and event.account_id is not None:
            added_ms = event.detail.get("added_at_ms", 0)
            spans[event.number].append((event.account_id, added_ms, event.occurred_at_ms))
    return spans


def _to_event(row: Any, spans: Sequence[tuple[int, int, int]]) -> LedgerEvent:
    """`row` has the columns of `_EVENTS`."""
    at_ms = row.occurred_at_ms if row.order_at_ms is None else row.order_at_ms
    return LedgerEvent(
        id=row.id,
        kind=EventKind(row.kind),
        at_ms=at_ms,
        account_id=row.account_id,
        account_ids=_accounts_at(spans, at_ms),
        order_rank=row.order_rank or 0,
        order_confirmed=row.order_confirmed is not False,
        cannot_clear_stop=bool(row.detail.get("cannot_clear_stop")),
        error_code=str(row.detail.get("error_code", "")),
        from_account_id=row.detail.get("from_account_id"),
    )


def _accounts_at(spans: Sequence[tuple[int, int, int]], at_ms: int) -> frozenset[int]:
    return frozenset(account for account, added_ms, removed_ms in spans if added_ms <= at_ms < removed_ms)


def event_day(event_id: int | None, at_ms: int | None) -> str:
    """The day of an event that happened at `at_ms`, if only the day is known; else ""."""
    event = db.session.get(ConsentEvent, event_id) if event_id else None
    return event.day if event is not None and event.occurred_at_ms == at_ms else ""


def last_confirmed_ms(number: str) -> int:
    """When START or a confirmation last showed that the number is right; 0 if never."""
    query = select(func.max(ConsentEvent.occurred_at_ms)).where(ConsentEvent.number == number)
    return db.session.scalar(query.where(ConsentEvent.kind.in_((EventKind.START, EventKind.CONFIRMED)))) or 0
