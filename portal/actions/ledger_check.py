"""Whether the consent ledger still is what was written: the whole chain, walked from its first event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portal.domain import text_input
from portal.domain.ledger import FIRST, Break, first_break
from portal.extensions import db
from portal.models import consent as ledger


@dataclass(frozen=True)
class Verdict:
    """`broken` is the first event that does not fit. `noted` is the event whose digest was noted: None when it is
    not in the chain, 0 when none was asked for (or the ledger was empty then)."""

    events: int
    last_digest: str
    broken: Break | None
    noted: int | None

    @property
    def sound(self) -> bool:
        return self.broken is None and self.noted is not None


def verify(noted_digest: str = "") -> Verdict:
    """Read in one snapshot, so that events written meanwhile do not count as slipped in."""
    _take_snapshot()
    wanted = text_input.code(noted_digest).lower()
    walk = _Walk(wanted)
    last_id, last_digest = ledger.head()
    broken = first_break(walk.through(ledger.everything()), last_digest)
    if not last_digest:
        broken = Break(walk.events, "the ledger's note of its own end is missing")
    elif broken is not None and broken.event_id > last_id:
        broken = Break(broken.event_id, "it was slipped in at the end")
    db.session.rollback()
    return Verdict(walk.events, last_digest, broken, walk.noted)


class _Walk:
    """Counts the events that pass, and looks for the digest that was noted."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.events = 0
        self.noted = 0 if wanted in ("", FIRST) else None

    def through(self, events: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for event in events:
            self.events += 1
            if event["digest"] == self.wanted:
                self.noted = event["id"]
            yield event


def _take_snapshot() -> None:
    """SQLite reads one snapshot in every transaction; PostgreSQL has to be told."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
