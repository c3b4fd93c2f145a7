"""The chain through the consent ledger: every event carries the digest of the one before it.

Whoever changes, removes or slips in an event breaks the chain from there on. The last digest, noted elsewhere, also
proves that nothing was cut off at the end or written anew from the beginning.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS_DIGEST = "0" * 64
"""What the first event carries as the digest before it."""

_CHAIN_COLUMNS = ("previous_digest", "digest")


@dataclass(frozen=True)
class ChainBreak:
    """The first event that does not fit; `why` in words."""

    event_id: int
    reason: str


def event_digest(previous: str, event: Mapping[str, Any]) -> str:
    """SHA-256 over the digest before and the event's values, in one spelling on every database."""
    values = {name: value for name, value in event.items() if name not in _CHAIN_COLUMNS}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def find_break(events: Iterable[Mapping[str, Any]], last_digest: str) -> ChainBreak | None:
    """None when the whole chain holds. `events` come in order of id, `last_digest` is what the ledger's head says."""
    previous, last_id = GENESIS_DIGEST, 0
    for event in events:
        if event["previous_digest"] != previous:
            return ChainBreak(event["id"], f"an event after {last_id} is missing, or was slipped in")
        if event["digest"] != event_digest(previous, event):
            return ChainBreak(event["id"], "it was changed after it was written")
        previous, last_id = event["digest"], event["id"]
    return None if previous == last_digest else ChainBreak(last_id, "events after it are missing")
