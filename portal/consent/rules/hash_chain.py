"""The hash chain of the consent ledger: every event carries the digest of the event before it.

Changing, removing or inserting an event breaks the chain from there on. A last digest noted elsewhere also proves
that nothing was cut off at the end or rewritten from the beginning (docs/consent-rules.md#consent-ledger).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from portal.core.translation import gettext as _

GENESIS_DIGEST = "0" * 64
"""The first event carries this as its previous digest."""

_CHAIN_COLUMNS = ("previous_digest", "digest")


@dataclass(frozen=True)
class ChainBreak:
    """The first event that does not fit into the chain, and why."""

    event_id: int
    reason: str


def event_digest(previous_digest: str, event: Mapping[str, Any]) -> str:
    """SHA-256 of the previous digest and the event's values, serialized the same on every database."""
    values = {name: value for name, value in event.items() if name not in _CHAIN_COLUMNS}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous_digest}\n{text}".encode()).hexdigest()


def find_break(events: Iterable[Mapping[str, Any]], last_digest: str) -> ChainBreak | None:
    """Return the first break, or None if the chain is valid.

    `events` come in order of id; `last_digest` is the digest that the ledger stores as its last.
    """
    previous_digest, last_id = GENESIS_DIGEST, 0
    for event in events:
        if event["previous_digest"] != previous_digest:
            return ChainBreak(event["id"], _broken_link(last_id))
        if event["digest"] != event_digest(previous_digest, event):
            return ChainBreak(event["id"], _("it was changed after it was written"))
        previous_digest, last_id = event["digest"], event["id"]
    return None if previous_digest == last_digest else ChainBreak(last_id, _("the events after it are missing"))


def _broken_link(last_id: int) -> str:
    return _("an event after %(event)s is missing, or this one was inserted", event=str(last_id))
