"""The consent ledger: rows are only ever added, each chained to the one before (`domain.ledger`)."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Index, Text, func, insert, select, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain import ledger
from portal.domain.consent import Event, Kind
from portal.extensions import Base, db
from portal.models.inbound import InboundMessage
from portal.models.phone import PhoneNumber
from portal.models.types import STRICT, Json, Key, Millis

_EVER = 2**62
_PAGE = 1_000


class ConsentEvent(Base):
    """One line of the ledger: who agreed or left, when, by what words, and who wrote it down.

    `account_id` is whose texts it is about, `actor_id` who acted in the portal. `words` are the handset's own, or the
    exact wording shown (`wording` and `wording_version` name it). Triggers refuse every change.
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

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    number: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int | None] = mapped_column(Key)
    actor_id: Mapped[int | None] = mapped_column(Key)
    kind: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    wording: Mapped[str] = mapped_column(Text)
    wording_version: Mapped[int | None]
    message_sid: Mapped[str] = mapped_column(Text)
    ip: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)
    detail: Mapped[Any] = mapped_column(Json)
    occurred_at_ms: Mapped[int] = mapped_column(Millis)
    recorded_at_ms: Mapped[int] = mapped_column(Millis)
    previous: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)


class ConsentHead(Base):
    """The end of the chain: one row, locked by whoever adds to the ledger."""

    __tablename__ = "consent_head"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    last_id: Mapped[int] = mapped_column(Key)
    digest: Mapped[str] = mapped_column(Text)


COLUMNS = tuple(column.name for column in ConsentEvent.__table__.columns)
_BLANK: dict[str, Any] = {
    "account_id": None,
    "actor_id": None,
    "words": "",
    "wording": "",
    "wording_version": None,
    "message_sid": "",
    "ip": "",
    "user_agent": "",
    "detail": {},
}


def lock() -> ConsentHead:
    """Nobody else changes anybody's consent until the transaction ends: what is counted now stays true."""
    return db.session.scalars(select(ConsentHead).with_for_update().execution_options(populate_existing=True)).one()


def append(*events: dict[str, Any]) -> int:
    """Add events at the end of the chain; the id of the last one. Inside a transaction.

    Each needs number, kind, source, occurred_at_ms and recorded_at_ms; what else it leaves out stays empty.
    """
    head, rows = lock(), []
    last_id, last_digest = head.last_id, head.digest
    for event in events:
        row = {**_BLANK, **event, "kind": str(event["kind"]), "id": last_id + 1, "previous": last_digest}
        row["digest"] = ledger.digest(last_digest, row)
        last_id, last_digest = row["id"], row["digest"]
        rows.append(row)
    if rows:
        db.session.execute(insert(ConsentEvent), rows)
        head.last_id, head.digest = last_id, last_digest
        db.session.flush()
    return last_id


def everything() -> Iterator[dict[str, Any]]:
    """The whole ledger in order, a page at a time, as `domain.ledger` reads it."""
    after_id = 0
    while True:
        query = select(ConsentEvent).where(ConsentEvent.id > after_id).order_by(ConsentEvent.id).limit(_PAGE)
        found = list(db.session.scalars(query))
        yield from (as_values(event) for event in found)
        if len(found) < _PAGE:
            return
        after_id = found[-1].id
        db.session.expunge_all()


def as_values(event: ConsentEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in COLUMNS}


def story(number: str) -> list[Event]:
    """What happened at a number, for `domain.consent.standing`."""
    query = (
        select(ConsentEvent, InboundMessage.order_at_ms, InboundMessage.order_rank, InboundMessage.sure)
        .outerjoin(InboundMessage, _is_its_message())
        .where(ConsentEvent.number == number)
    )
    rows = db.session.execute(query).all()
    spans = _carrying(number, [row[0] for row in rows])
    return [_event(row[0], row[1:], spans) for row in rows if row[0].kind in set(Kind)]


def has_consented(number: str, account_id: int) -> bool:
    """Whether this account ever had the number's texts, or brought evidence; asking for them is not enough."""
    query = select(ConsentEvent.id).where(
        ConsentEvent.number == number,
        ConsentEvent.account_id == account_id,
        ConsentEvent.kind.in_((Kind.OPT_IN, Kind.EVIDENCE, Kind.START, Kind.MOVED)),
    )
    return db.session.scalar(query.limit(1)) is not None


def invitation_times(since_ms: int, **whose: Any) -> list[int]:
    """When invitations were asked for since then, oldest first; narrowed by number, account_id or ip."""
    query = select(ConsentEvent.occurred_at_ms).where(
        ConsentEvent.kind == Kind.INVITED, ConsentEvent.occurred_at_ms > since_ms
    )
    for name, value in whose.items():
        query = query.where(getattr(ConsentEvent, name) == value)
    return list(db.session.scalars(query.order_by(ConsentEvent.occurred_at_ms)))


def count() -> int:
    return db.session.scalar(select(func.count(ConsentEvent.id))) or 0


def _is_its_message() -> Any:
    return (InboundMessage.provider_id == ConsentEvent.message_sid) & (ConsentEvent.message_sid != "")


def _carrying(number: str, events: Sequence[ConsentEvent]) -> list[tuple[int, int, int]]:
    """Which account carried the number from when to when."""
    now = db.session.execute(
        select(PhoneNumber.account_id, PhoneNumber.created_at_ms).where(PhoneNumber.number == number)
    )
    spans = [(account_id, since, _EVER) for account_id, since in now]
    for event in events:
        if event.kind == Kind.REMOVED and event.account_id is not None:
            spans.append((event.account_id, event.detail.get("added_at_ms", 0), event.occurred_at_ms))
    return spans


def _event(row: ConsentEvent, order: Sequence[Any], spans: Sequence[tuple[int, int, int]]) -> Event:
    order_at_ms, rank, sure = order
    at_ms = row.occurred_at_ms if order_at_ms is None else order_at_ms
    return Event(
        id=row.id,
        kind=Kind(row.kind),
        at_ms=at_ms,
        account_id=row.account_id,
        carriers=frozenset(account for account, since, until in spans if since <= at_ms < until),
        rank=rank or 0,
        sure=sure is not False,
        code=str(row.detail.get("code", "")),
    )
