"""Challenges that were answered: none of them counts a second time, even if somebody has kept a copy of the cookie."""

import hashlib

from sqlalchemy import Text, delete
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_if_missing

CHALLENGE_LIFETIME_MS = 300_000


class SpentChallenge(Base):
    """Only answered ones are stored, so that visitors who ask for many of them fill no table."""

    __tablename__ = "spent_challenge"
    __table_args__ = (STRICT,)

    digest: Mapped[str] = mapped_column(Text, primary_key=True)
    expires_at_ms: Mapped[int] = mapped_column(Millis)


def spend_challenge(challenge: str, now_ms: int) -> bool:
    """False if it was spent before. Inside a transaction."""
    db.session.execute(delete(SpentChallenge).where(SpentChallenge.expires_at_ms < now_ms))
    digest = hashlib.sha256(challenge.encode()).hexdigest()
    row = {"digest": digest, "expires_at_ms": now_ms + 2 * CHALLENGE_LIFETIME_MS}
    return insert_if_missing(SpentChallenge, row, ["digest"])
