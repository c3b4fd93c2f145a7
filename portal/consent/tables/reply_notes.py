"""Notes of administrators about replies to review. Only administrators see them."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ForeignKey, Index, Text, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class ReplyNote(Base):
    __tablename__ = "reply_note"
    __table_args__ = (Index("ix_reply_note_message", "message_id", "id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("inbound_message.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    text: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)

    author: Mapped[Account] = relationship()


def notes_by_message(message_ids: Sequence[int]) -> dict[int, list[ReplyNote]]:
    """The notes of each text, oldest first."""
    query = select(ReplyNote).where(ReplyNote.message_id.in_(message_ids)).order_by(ReplyNote.id)
    notes: dict[int, list[ReplyNote]] = defaultdict(list)
    for note in db.session.scalars(query):
        notes[note.message_id].append(note)
    return notes
