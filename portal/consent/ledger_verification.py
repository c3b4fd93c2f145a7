"""Verify the hash chain of the whole consent ledger (docs/consent-rules.md#consent-ledger)."""

from dataclasses import dataclass

from portal.consent.rules.hash_chain import GENESIS_DIGEST, ChainBreak, find_break
from portal.consent.tables import ledger
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.translation import gettext as _


@dataclass(frozen=True)
class VerificationResult:
    """`known_event_id` is the event with the known digest: None if it is not in the chain, 0 if none was given."""

    event_count: int
    last_digest: str
    first_break: ChainBreak | None
    known_event_id: int | None

    @property
    def is_valid(self) -> bool:
        return self.first_break is None and self.known_event_id is not None


def verify_chain(known_digest: str = "") -> VerificationResult:
    """Read one snapshot, so that events written meanwhile do not count as inserted.

    `known_digest` is the digest of some earlier event, noted elsewhere.
    """
    _begin_snapshot()
    known_digest = text_input.clean_code(known_digest).lower()
    known_event_id = 0 if known_digest in ("", GENESIS_DIGEST) else ledger.event_with_digest(known_digest)
    event_count = ledger.count_events()
    last_id, last_digest = ledger.chain_head()
    first_break = find_break(ledger.all_events(), last_digest)
    if not last_digest:
        first_break = ChainBreak(event_count, _("the row that holds the last digest is missing"))
    elif first_break is not None and first_break.event_id > last_id:
        first_break = ChainBreak(first_break.event_id, _("it was inserted at the end"))
    db.session.rollback()
    return VerificationResult(event_count, last_digest, first_break, known_event_id)


def _begin_snapshot() -> None:
    """SQLite reads one snapshot in every transaction; PostgreSQL needs an isolation level."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
