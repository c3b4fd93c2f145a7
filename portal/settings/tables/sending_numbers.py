"""Sending numbers: the pace of each, and whether it is paused or waits for a limit."""

from collections.abc import Iterable

from sqlalchemy import Text, or_, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing
from portal.settings.tables.setting_values import gateway_changed_ms


class SendingNumber(Base):
    """The pace of one From number: no text may leave before `next_free_at_ms`. Paused while `paused_reason` is set."""

    __tablename__ = "sending_number"
    __table_args__ = (STRICT,)

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    next_free_at_us: Mapped[int] = mapped_column(Millis, default=0)
    """Whole microseconds since 1970: at 250 segments a second a millisecond is too coarse."""
    paused_reason: Mapped[str] = mapped_column(Text, default="")
    paused_at_ms: Mapped[int | None] = mapped_column(Millis)
    resumed_at_ms: Mapped[int | None] = mapped_column(Millis)
    consecutive_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    """Calls in a row that were not answered; from `delivery.rules.circuit_breaker.OPENS_AFTER` on the number rests between them."""
    retry_at_us: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    down_since_ms: Mapped[int | None] = mapped_column(Millis)
    """Since when the provider has not answered, or could not be reached; null while it answers."""
    limit_resets_at_ms: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    """Until when nothing leaves since a limit is used up; `limit_code` says which."""
    limit_code: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    unrecognized_rejections: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    """Who was refused, and nobody knows why, since a text was last taken (`delivery.rules.unexplained_rejections`)."""
    unrecognized_failures: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    """The same of texts that were taken and failed, since one was last delivered."""


def paused_senders() -> list[SendingNumber]:
    return list(
        db.session.scalars(
            select(SendingNumber).where(SendingNumber.paused_reason != "").order_by(SendingNumber.number)
        )
    )


def is_any_sender_down(numbers: Iterable[str], before_ms: int) -> bool:
    """Whether the provider has been away from any of these numbers since then or longer."""
    query = select(SendingNumber.number).where(
        SendingNumber.number.in_(numbers), SendingNumber.down_since_ms <= before_ms
    )
    return db.session.scalar(query.limit(1)) is not None


def all_sending_numbers() -> list[str]:
    """Every number and messaging service that texts were ever sent from."""
    return list(db.session.scalars(select(SendingNumber.number).order_by(SendingNumber.number)))


def pause_sender(number: str, reason: str, attempted_at_ms: int, now_ms: int) -> None:
    """Inside a transaction. The first reason stands until somebody has mended it.

    What is said of a text from before the settings were mended, or the sender resumed, says nothing of it now.
    """
    if gateway_changed_ms() > attempted_at_ms:
        return
    still_so = or_(SendingNumber.resumed_at_ms.is_(None), SendingNumber.resumed_at_ms <= attempted_at_ms)
    query = update(SendingNumber).where(SendingNumber.number == number, SendingNumber.paused_reason == "", still_so)
    db.session.execute(query.values(paused_reason=reason, paused_at_ms=now_ms))


def set_sender_limit(number: str, code: str, until_ms: int, attempted_at_ms: int) -> None:
    """Inside a transaction. A limit is used up until then. News of an older text says nothing, as of a pause."""
    if gateway_changed_ms() > attempted_at_ms:
        return
    still_so = or_(SendingNumber.resumed_at_ms.is_(None), SendingNumber.resumed_at_ms <= attempted_at_ms)
    query = update(SendingNumber).where(
        SendingNumber.number == number, SendingNumber.limit_resets_at_ms < until_ms, still_so
    )
    db.session.execute(query.values(limit_resets_at_ms=until_ms, limit_code=code))


def rate_limited_senders(now_ms: int) -> list[SendingNumber]:
    """Those that a limit keeps."""
    return list(
        db.session.scalars(
            select(SendingNumber).where(SendingNumber.limit_resets_at_ms > now_ms).order_by(SendingNumber.number)
        )
    )


def senders_with_unrecognized(name: str) -> list[SendingNumber]:
    """Those with somebody in that row: `refused_in_a_row` or `unrecognized_failures`."""
    return list(
        db.session.scalars(
            select(SendingNumber).where(getattr(SendingNumber, name) != "").order_by(SendingNumber.number)
        )
    )


def clear_unrecognized_failures(numbers: Iterable[str]) -> None:
    """A text was delivered from them: what failed before, in a row, was not their fault. Inside a transaction."""
    failed = update(SendingNumber).where(
        SendingNumber.number.in_(set(numbers)), SendingNumber.unrecognized_failures != ""
    )
    db.session.execute(failed.values(unrecognized_failures=""))


def resume_senders(now_ms: int) -> None:
    """Inside a transaction. Limits count anew as well, and so does what nobody could explain."""
    lock_all_senders()
    kept = or_(
        SendingNumber.paused_reason != "",
        SendingNumber.limit_resets_at_ms > now_ms,
        SendingNumber.unrecognized_rejections != "",
        SendingNumber.unrecognized_failures != "",
    )
    anew = {"limit_resets_at_ms": 0, "limit_code": "", "unrecognized_rejections": "", "unrecognized_failures": ""}
    query = update(SendingNumber).where(kept)
    db.session.execute(query.values(paused_reason="", paused_at_ms=None, resumed_at_ms=now_ms, **anew))


def lock_senders_by_key(numbers: Iterable[str]) -> dict[str, SendingNumber]:
    """Their rows by number, locked until the transaction ends; made when they are not there yet.

    All at once and in one order: who takes them one by one waits for another who does, in a circle.
    """
    wanted = sorted(set(numbers))
    insert_missing(
        SendingNumber, [{"number": number, "next_free_at_us": 0, "paused_reason": ""} for number in wanted], ["number"]
    )
    query = (
        select(SendingNumber).where(SendingNumber.number.in_(wanted)).order_by(SendingNumber.number).with_for_update()
    )
    return {row.number: row for row in db.session.scalars(query)}


def lock_all_senders() -> None:
    """All there are, in the same order: before some of them are changed one after the other. Inside a transaction."""
    db.session.execute(select(SendingNumber.number).order_by(SendingNumber.number).with_for_update())


def find_sender(number: str) -> SendingNumber | None:
    """As it stands now; None when it never sent."""
    return db.session.get(SendingNumber, number, populate_existing=True)
