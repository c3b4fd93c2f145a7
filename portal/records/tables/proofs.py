"""Proofs of notice for whole sends, which a worker writes part by part, and the communications they are made of."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, delete, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import TemplateVersion
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db
from portal.messages.tables.communications import Communication, Delivery
from portal.records.tables.stored_parts import read_parts
from portal.sends.tables.sends import Send


class ProofState(StrEnum):
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    REMOVED = "removed"


class Proof(Base):
    """`about` is what the header of the file says. The next part begins behind `after_account_id`, in the chain behind
    the line with `last_digest`.
    """

    __tablename__ = "proof"
    __table_args__ = (Index("ix_proof_state", "state", "id"), Index("ix_proof_send", "send_id", "id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    send_id: Mapped[int] = mapped_column(ForeignKey("send.id"))
    state: Mapped[str] = mapped_column(Text, default=ProofState.PENDING)
    problem: Mapped[str] = mapped_column(Text, default="")
    about: Mapped[Any] = mapped_column(Json)
    after_account_id: Mapped[int] = mapped_column(BigIntKey, default=0)
    line_count: Mapped[int] = mapped_column(BigIntKey, default=0)
    last_digest: Mapped[str] = mapped_column(Text, default="")
    part_count: Mapped[int] = mapped_column(default=0)
    byte_count: Mapped[int] = mapped_column(BigIntKey, default=0)
    run_number: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)

    send: Mapped[Send] = relationship()
    created_by: Mapped[Account | None] = relationship()


class ProofPart(Base):
    """Lines of the file, compressed with zlib."""

    __tablename__ = "proof_part"
    __table_args__ = (STRICT,)

    proof_id: Mapped[int] = mapped_column(ForeignKey("proof.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


def latest_proof(send_id: int) -> Proof | None:
    return db.session.scalar(select(Proof).where(Proof.send_id == send_id).order_by(Proof.id.desc()).limit(1))


def parts(proof_id: int, count: int) -> Iterator[bytes]:
    return read_parts(ProofPart.content, ProofPart.number, ProofPart.proof_id == proof_id, count)


def expired_proof_ids(before_ms: int) -> list[int]:
    query = select(Proof.id).where(Proof.created_at_ms < before_ms, Proof.state != ProofState.REMOVED)
    return list(db.session.scalars(query))


def delete_parts(proof_id: int, limit: int) -> int:
    """Returns how many were deleted; fewer than `limit` if none is left."""
    of_proof = ProofPart.proof_id == proof_id
    numbers = list(db.session.scalars(select(ProofPart.number).where(of_proof).limit(limit)))
    db.session.execute(delete(ProofPart).where(of_proof, ProofPart.number.in_(numbers)))
    return len(numbers)


def communications_after(send_id: int, account_id: int, limit: int) -> list[Communication]:
    """The next of a send, with everything that a proof tells, in the order of the unique index."""
    query = _COMPLETE.where(Communication.send_id == send_id, Communication.account_id > account_id)
    return list(db.session.scalars(query.order_by(Communication.account_id).limit(limit)))


def complete_communication(communication_id: int) -> Communication | None:
    return db.session.scalar(_COMPLETE.where(Communication.id == communication_id))


_DELIVERIES = selectinload(Communication.deliveries)
_COMPLETE = select(Communication).options(
    joinedload(Communication.account),
    joinedload(Communication.send).joinedload(Send.version).joinedload(TemplateVersion.template),
    _DELIVERIES.selectinload(Delivery.attempt_history),
    _DELIVERIES.selectinload(Delivery.receipts),
)
