"""The state of each sending number: its next free slot, pauses, outages and rate limits."""

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, Text, Update, bindparam, or_, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing
from portal.settings.tables.setting_values import gateway_changed_ms


class SendingNumber(Base):
    """A number or messaging service that texts are sent from. Paused while `paused_reason` is set."""

    __tablename__ = "sending_number"
    __table_args__ = (STRICT,)

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    next_free_at_us: Mapped[int] = mapped_column(Millis, default=0)
    """When the next text may be sent, in microseconds since 1970: 250 segments a second need more than milliseconds."""
    paused_reason: Mapped[str] = mapped_column(Text, default="")
    paused_at_ms: Mapped[int | None] = mapped_column(Millis)
    resumed_at_ms: Mapped[int | None] = mapped_column(Millis)
    consecutive_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    """Unanswered calls in a row. While `delivery.rules.circuit_breaker` is open, wait for `retry_at_us`."""
    retry_at_us: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    down_since_ms: Mapped[int | None] = mapped_column(Millis)
    """Since when the provider does not answer; null while it does."""
    limit_resets_at_ms: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    """Nothing is sent before, because the limit named by `limit_code` is used up."""
    limit_code: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    unrecognized_rejections: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    """Recipients rejected for no known cause since a text was accepted (`delivery.rules.unexplained_rejections`)."""
    unrecognized_failures: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    """Recipients whose accepted text failed for no known cause since one was delivered."""


_IS_NAMED = SendingNumber.number.in_(bindparam("numbers", expanding=True))
_LOCK_BY_KEY = select(SendingNumber).where(_IS_NAMED).order_by(SendingNumber.number).with_for_update()
_CLEAR_FAILURES = (
    update(SendingNumber)
    .where(_IS_NAMED, SendingNumber.unrecognized_failures != "")
    .values(unrecognized_failures="")
    .execution_options(synchronize_session=False)
)


def _senders_where(condition: ColumnElement[bool]) -> list[SendingNumber]:
    return list(db.session.scalars(select(SendingNumber).where(condition).order_by(SendingNumber.number)))


def paused_senders() -> list[SendingNumber]:
    return _senders_where(SendingNumber.paused_reason != "")


def rate_limited_senders(now_ms: int) -> list[SendingNumber]:
    return _senders_where(SendingNumber.limit_resets_at_ms > now_ms)


def senders_with_unrecognized(column: str) -> list[SendingNumber]:
    """Numbers with an entry in the column: `unrecognized_rejections` or `unrecognized_failures`."""
    return _senders_where(getattr(SendingNumber, column) != "")


def is_any_sender_down(numbers: Iterable[str], before_ms: int) -> bool:
    """Whether the provider has been down for any of these numbers since `before_ms` or earlier."""
    is_down = SendingNumber.number.in_(numbers), SendingNumber.down_since_ms <= before_ms
    return db.session.scalar(select(SendingNumber.number).where(*is_down).limit(1)) is not None


def all_sending_numbers() -> list[str]:
    """Every number and messaging service that has ever sent texts."""
    return list(db.session.scalars(select(SendingNumber.number).order_by(SendingNumber.number)))


def pause_sender(number: str, reason: str, attempted_at_ms: int, now_ms: int) -> None:
    """Keep the first reason until somebody fixes it. Call inside a transaction.

    Ignored if the gateway was changed or the number resumed after the attempt, which says nothing about its state now.
    """
    if gateway_changed_ms() <= attempted_at_ms:
        query = _if_not_resumed_since(attempted_at_ms, number).where(SendingNumber.paused_reason == "")
        db.session.execute(query.values(paused_reason=reason, paused_at_ms=now_ms))


def set_sender_limit(number: str, code: str, until_ms: int, attempted_at_ms: int) -> None:
    """Send nothing until the limit resets. Ignores older attempts, like `pause_sender`. Call inside a transaction."""
    if gateway_changed_ms() <= attempted_at_ms:
        query = _if_not_resumed_since(attempted_at_ms, number).where(SendingNumber.limit_resets_at_ms < until_ms)
        db.session.execute(query.values(limit_resets_at_ms=until_ms, limit_code=code))


def _if_not_resumed_since(at_ms: int, number: str) -> Update:
    is_unchanged = or_(SendingNumber.resumed_at_ms.is_(None), SendingNumber.resumed_at_ms <= at_ms)
    return update(SendingNumber).where(SendingNumber.number == number, is_unchanged)


def clear_unrecognized_failures(numbers: Iterable[str]) -> None:
    """A text from them was delivered, so earlier failures were not their fault. Call inside a transaction."""
    db.session.execute(_CLEAR_FAILURES, {"numbers": list(set(numbers))})


def resume_senders(now_ms: int) -> None:
    """Resume every number, and reset its limits and unrecognized errors. Call inside a transaction."""
    lock_all_senders()
    needs_reset = or_(
        SendingNumber.paused_reason != "",
        SendingNumber.limit_resets_at_ms > now_ms,
        SendingNumber.unrecognized_rejections != "",
        SendingNumber.unrecognized_failures != "",
    )
    reset = {"limit_resets_at_ms": 0, "limit_code": "", "unrecognized_rejections": "", "unrecognized_failures": ""}
    query = update(SendingNumber).where(needs_reset)
    db.session.execute(query.values(paused_reason="", paused_at_ms=None, resumed_at_ms=now_ms, **reset))


def lock_senders_by_key(numbers: Iterable[str]) -> dict[str, SendingNumber]:
    """The rows by number, created if missing, locked until the transaction ends.

    All are locked in one query and in one order, which prevents deadlocks.
    """
    keys = set(numbers)
    locked = _lock_existing(keys)
    if missing := sorted(keys - locked.keys()):
        rows = [{"number": number, "next_free_at_us": 0, "paused_reason": ""} for number in missing]
        insert_missing(SendingNumber, rows, ["number"])
        locked = _lock_existing(keys)
    return locked


def _lock_existing(numbers: Collection[str]) -> dict[str, SendingNumber]:
    rows = db.session.scalars(_LOCK_BY_KEY, {"numbers": list(numbers)}) if numbers else ()
    return {row.number: row for row in rows}


def lock_all_senders() -> None:
    """Lock every row in the same order, before several of them change. Call inside a transaction."""
    db.session.execute(select(SendingNumber.number).order_by(SendingNumber.number).with_for_update())


def find_sender(number: str) -> SendingNumber | None:
    """Read fresh from the database; None if it has never sent."""
    return db.session.get(SendingNumber, number, populate_existing=True)
