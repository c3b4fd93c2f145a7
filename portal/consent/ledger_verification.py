"""Verify the hash chain of the whole consent ledger (docs/consent-rules.md#consent-ledger)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portal.consent.rules.hash_chain import GENESIS_DIGEST, ChainBreak, find_break
from portal.consent.tables import ledger
from portal.core.extensions import db
from portal.core.rules import text_input


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
    reader = _ChainReader(text_input.clean_code(known_digest).lower())
    last_id, last_digest = ledger.chain_head()
    first_break = find_break(reader.read(ledger.all_events()), last_digest)
    if not last_digest:
        first_break = ChainBreak(reader.event_count, "the row that holds the last digest is missing")
    elif first_break is not None and first_break.event_id > last_id:
        first_break = ChainBreak(first_break.event_id, "it was inserted at the end")
    db.session.rollback()
    return VerificationResult(reader.event_count, last_digest, first_break, reader.known_event_id)


class _ChainReader:
    """Counts events while they are read, and looks for the known digest."""

    def __init__(self, known_digest: str) -> None:
        self.known_digest = known_digest
        self.event_count = 0
        self.known_event_id = 0 if known_digest in ("", GENESIS_DIGEST) else None

    def read(self, events: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for event in events:
            self.event_count += 1
            if event["digest"] == self.known_digest:
                self.known_event_id = event["id"]
            yield event


def _begin_snapshot() -> None:
    """SQLite reads one snapshot in every transaction; PostgreSQL needs an isolation level."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
