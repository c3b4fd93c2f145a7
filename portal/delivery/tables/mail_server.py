"""The state of the mail server: whether it accepts mail, and if not, when to retry."""

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing


class MailServer(Base):
    """`address` is host:port; `consecutive_failures` drives `delivery.rules.circuit_breaker`.

    While `down_since_ms` is set, the server counts as down and `last_error` is its last message.
    """

    __tablename__ = "mail_server"
    __table_args__ = (STRICT,)

    address: Mapped[str] = mapped_column(Text, primary_key=True)
    consecutive_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    retry_at_ms: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    down_since_ms: Mapped[int | None] = mapped_column(Millis)
    last_error: Mapped[str] = mapped_column(Text, default="")


def lock_mail_server(address: str) -> MailServer:
    """Insert the row if it is missing, and lock it until the transaction ends."""
    row = {"address": address, "consecutive_failures": 0, "retry_at_ms": 0, "last_error": ""}
    insert_missing(MailServer, [row], ["address"])
    return db.session.get_one(MailServer, address, populate_existing=True, with_for_update=True)


def read_mail_server(address: str) -> MailServer:
    """The current row; before the first email, one that is not stored."""
    row = db.session.get(MailServer, address, populate_existing=True)
    return row or MailServer(address=address, consecutive_failures=0, retry_at_ms=0, last_error="")
