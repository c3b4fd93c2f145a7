"""Whether the consent ledger still is what was written: the whole chain, walked from its first event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portal.consent.rules.hash_chain import GENESIS_DIGEST, ChainBreak, find_break
from portal.consent.tables import ledger
from portal.core.extensions import db
from portal.core.rules import text_input


@dataclass(frozen=True)
class VerificationResult:
    """`broken` is the first event that does not fit. `noted` is the event whose digest was noted: None when it is
    not in the chain, 0 when none was asked for (or the ledger was empty then)."""

    event_count: int
    last_digest: str
    first_break: ChainBreak | None
    known_event_id: int | None

    @property
    def is_valid(self) -> bool:
        return self.first_break is None and self.known_event_id is not None


def verify_chain(known_digest: str = "") -> VerificationResult:
    """Read in one snapshot, so that events written meanwhile do not count as slipped in."""
    _begin_snapshot()
    wanted = text_input.clean_code(known_digest).lower()
    walk = _ChainReader(wanted)
    last_id, last_digest = ledger.chain_head()
    broken = find_break(walk.through(ledger.all_events()), last_digest)
    if not last_digest:
        broken = ChainBreak(walk.events, "the ledger's note of its own end is missing")
    elif broken is not None and broken.event_id > last_id:
        broken = ChainBreak(broken.event_id, "it was slipped in at the end")
    db.session.rollback()
    return VerificationResult(walk.events, last_digest, broken, walk.noted)


class _ChainReader:
    """Counts the events that pass, and looks for the digest that was noted."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.events = 0
        self.noted = 0 if wanted in ("", GENESIS_DIGEST) else None

    def through(self, events: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for event in events:
            self.events += 1
            if event["digest"] == self.wanted:
                self.noted = event["id"]
            yield event


def _begin_snapshot() -> None:
    """SQLite reads one snapshot in every transaction; PostgreSQL has to be told."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
