"""Sign-in sessions: each browser that somebody is signed in with (ADR 61)."""

from sqlalchemy import ColumnElement, ForeignKey, Text, delete, exists, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class SignInSession(Base):
    """The token is only in the browser: `token_hash` is its SHA-256. Under another identity the row grants nothing."""

    __tablename__ = "sign_in_session"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    identity: Mapped[str] = mapped_column(Text)
    browser: Mapped[str] = mapped_column(Text)
    system: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    methods: Mapped[str] = mapped_column(Text)
    """How the person proved who they are, such as `password`; several are separated by spaces."""
    created_at_ms: Mapped[int] = mapped_column(Millis)
    last_seen_at_ms: Mapped[int] = mapped_column(Millis)
    authenticated_at_ms: Mapped[int] = mapped_column(Millis)
    """The last proof of identity: signing in, or a later request for it."""


_HAS_IDENTITY = (Account.id == SignInSession.account_id) & (Account.fs_uniquifier == SignInSession.identity)


def find_with_account(token_hash: str) -> tuple[Account, SignInSession] | None:
    """Of an active account that has the same identity still. One read by an index, for every request."""
    query = select(Account, SignInSession).join(SignInSession, _HAS_IDENTITY)
    found = db.session.execute(query.where(SignInSession.token_hash == token_hash)).one_or_none()
    return (found[0], found[1]) if found and found[0].active else None


def sessions_of(account_id: int) -> list[SignInSession]:
    """Those that grant something, if their time is not over. The one that was used last comes first."""
    query = select(SignInSession).join(Account, _HAS_IDENTITY).where(SignInSession.account_id == account_id)
    return list(db.session.scalars(query.order_by(SignInSession.last_seen_at_ms.desc(), SignInSession.id.desc())))


def note_activity(session_id: int, before_ms: int, now_ms: int) -> None:
    """Only if nothing was noted since `before_ms`. Inside a transaction."""
    is_stale = SignInSession.id == session_id, SignInSession.last_seen_at_ms <= before_ms
    db.session.execute(update(SignInSession).where(*is_stale).values(last_seen_at_ms=now_ms))


def replace_token(token_hash: str, new_hash: str, now_ms: int) -> bool:
    """After a new proof of identity. False if the session has ended. Inside a transaction."""
    values = {"token_hash": new_hash, "authenticated_at_ms": now_ms, "last_seen_at_ms": now_ms}
    query = update(SignInSession).where(SignInSession.token_hash == token_hash).values(**values)
    return db.session.scalar(query.returning(SignInSession.id)) is not None


def carry_over(token_hash: str, new_hash: str, authenticated_at_ms: int) -> bool:
    """To the present identity of the account. False if the session has ended. Inside a transaction."""
    identity = select(Account.fs_uniquifier).where(Account.id == SignInSession.account_id).scalar_subquery()
    values = {"token_hash": new_hash, "identity": identity, "authenticated_at_ms": authenticated_at_ms}
    query = update(SignInSession).where(SignInSession.token_hash == token_hash).values(**values)
    return db.session.scalar(query.returning(SignInSession.id)) is not None


def delete_by_token(token_hash: str) -> None:
    db.session.execute(delete(SignInSession).where(SignInSession.token_hash == token_hash))


def delete_of_account(account_id: int, *conditions: ColumnElement[bool]) -> int:
    """Return how many were deleted. Inside a transaction."""
    query = delete(SignInSession).where(SignInSession.account_id == account_id, *conditions)
    return len(db.session.scalars(query.returning(SignInSession.id)).all())


def ended_ids(created_before_ms: int) -> list[int]:
    """Those that are old, or of an identity that is replaced. There is one row for each sign-in of the last days."""
    is_old, has_identity = SignInSession.created_at_ms < created_before_ms, exists().where(_HAS_IDENTITY)
    return list(db.session.scalars(select(SignInSession.id).where(or_(is_old, ~has_identity))))


def delete_by_ids(session_ids: list[int]) -> None:
    db.session.execute(delete(SignInSession).where(SignInSession.id.in_(session_ids)))
