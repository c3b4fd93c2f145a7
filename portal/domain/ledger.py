"""The chain through the consent ledger: every event carries the digest of the one before it.

Whoever changes, removes or slips in an event breaks the chain from there on. The last digest, noted elsewhere, also
proves that nothing was cut off at the end or written anew from the beginning.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST = "0" * 64
"""What the first event carries as the digest before it."""

_CHAIN = ("previous", "digest")


@dataclass(frozen=True)
class Break:
    """The first event that does not fit; `why` in words."""

    event_id: int
    why: str


def digest(previous: str, event: Mapping[str, Any]) -> str:
    """SHA-256 over the digest before and the event's values, in one spelling on every database."""
    values = {name: value for name, value in event.items() if name not in _CHAIN}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def first_break(events: Iterable[Mapping[str, Any]], last_digest: str) -> Break | None:
    """None when the whole chain holds. `events` come in order of id, `last_digest` is what the ledger's head says."""
    previous, last_id = FIRST, 0
    for event in events:
        if event["previous"] != previous:
            return Break(event["id"], f"an event after {last_id} is missing, or was slipped in")
        if event["digest"] != digest(previous, event):
            return Break(event["id"], "it was changed after it was written")
        previous, last_id = event["digest"], event["id"]
    return None if previous == last_digest else Break(last_id, "events after it are missing")
