"""Authenticator apps: the secret that an app shares with the portal, one for each account."""

from sqlalchemy import ForeignKey, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis, encrypted_as
from portal.core.extensions import Base, db
from portal.core.statements import updated_count, upsert


def totp_secret_name(account_id: int) -> str:
    """Binds the secret to its account: it cannot be copied to another one."""
    return f"TOTP secret of account {account_id}"


class TotpCredential(Base):
    """`secret` is encrypted as secrets of the settings are (`settings.rules.encryption`).

    `last_step` is the time step of the last code that was used: that code and older ones no longer work.
    """

    __tablename__ = "totp_credential"
    __table_args__ = (STRICT,)

    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(Text, info=encrypted_as(lambda row: totp_secret_name(row["account_id"])))
    last_step: Mapped[int] = mapped_column(Millis)
    created_at_ms: Mapped[int] = mapped_column(Millis)


def find_totp(account_id: int) -> TotpCredential | None:
    return db.session.get(TotpCredential, account_id)


def has_totp(account_id: int) -> bool:
    query = select(TotpCredential.account_id).where(TotpCredential.account_id == account_id)
    return db.session.scalar(query) is not None


def replace_totp(account_id: int, secret: str, last_step: int, now_ms: int) -> None:
    """Call inside a transaction."""
    row = {"account_id": account_id, "secret": secret, "last_step": last_step, "created_at_ms": now_ms}
    upsert(TotpCredential, row, ["account_id"])


def use_step(account_id: int, secret: str, step: int) -> bool:
    """False if the step or a later one was used, or the secret replaced, in the meantime. Inside a transaction."""
    is_unused = (
        TotpCredential.account_id == account_id,
        TotpCredential.secret == secret,
        TotpCredential.last_step < step,
    )
    return updated_count(update(TotpCredential).where(*is_unused).values(last_step=step)) == 1


def delete_totp(account_id: int) -> None:
    db.session.execute(delete(TotpCredential).where(TotpCredential.account_id == account_id))
