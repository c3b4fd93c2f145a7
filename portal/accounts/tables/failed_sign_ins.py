"""Failed sign-ins that the audit log does not have yet: summed, so that guessing cannot fill the disk."""

from sqlalchemy import Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_if_missing, updated_count


class FailedSignIn(Base):
    """Since `since_ms`. The account 0 stands for names that no account has; `address` is that of the last try."""

    __tablename__ = "failed_sign_in"
    __table_args__ = (STRICT,)

    account_id: Mapped[int] = mapped_column(BigIntKey, primary_key=True, autoincrement=False)
    since_ms: Mapped[int] = mapped_column(Millis)
    tries: Mapped[int] = mapped_column(BigIntKey)
    address: Mapped[str] = mapped_column(Text)


def count_failure(account_id: int, address: str, now_ms: int) -> None:
    """Inside a transaction."""
    more = update(FailedSignIn).where(FailedSignIn.account_id == account_id)
    if not updated_count(more.values(tries=FailedSignIn.tries + 1, address=address)):
        row = {"account_id": account_id, "since_ms": now_ms, "tries": 1, "address": address}
        insert_if_missing(FailedSignIn, row, ["account_id"])


def take_failures_before(before_ms: int) -> list[tuple[int, int, str]]:
    """Remove the sums that began before then: account, tries and address. Inside a transaction."""
    columns = FailedSignIn.account_id, FailedSignIn.tries, FailedSignIn.address
    is_old = FailedSignIn.since_ms < before_ms
    rows = db.session.execute(select(*columns).where(is_old).order_by(FailedSignIn.account_id).with_for_update()).all()
    db.session.execute(delete(FailedSignIn).where(FailedSignIn.account_id.in_([account_id for account_id, *_ in rows])))
    return [(account_id, tries, address) for account_id, tries, address in rows]
