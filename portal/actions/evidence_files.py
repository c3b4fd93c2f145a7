"""An export of evidence as a file, written a line at a time: a ledger of any length goes through."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from portal.actions.evidence import Evidence, TextLeft, Told
from portal.domain import csv_output
from portal.domain.moments import in_utc, in_zone
from portal.models.consent import as_values

COLUMNS = (
    "event",
    "number",
    "what",
    "effect",
    "happened_at_utc",
    "happened_at_local",
    "time_zone",
    "account_number",
    "account_name",
    "by",
    "source",
    "words_are",
    "words",
    "wording",
    "wording_version",
    "message_sid",
    "ip",
    "user_agent",
    "answer",
    "answer_wording",
    "answer_wording_version",
    "notes",
    "written_down_at_utc",
    "kind",
    "detail",
    "previous_digest",
    "digest",
)
_HOW_TO_CHECK = (
    "Each digest is the SHA-256 of the digest before it, a line feed, and the event without previous and digest, "
    "as JSON in ASCII with sorted keys and no spaces."
)


def as_csv(evidence: Evidence) -> Iterator[str]:
    """No cell is taken for a formula by a spreadsheet. The texts that left come after the events."""
    yield csv_output.BYTE_ORDER_MARK + csv_output.line(COLUMNS)
    for told in evidence.told():
        yield csv_output.line(_cells(told, evidence.zone))
    for text in evidence.texts():
        yield csv_output.line(_text_cells(text, evidence.zone))


def as_json(evidence: Evidence) -> Iterator[str]:
    """`events` hold the ledger's own values, so that whoever has the file can check the digests."""
    head = {
        "evidence_of": evidence.about,
        "made_at": in_utc(evidence.made_at_ms),
        "made_by": evidence.made_by,
        "time_zone": evidence.zone,
        "count": evidence.count,
        "ledger": {"last_event": evidence.last_id, "last_digest": evidence.last_digest, "to_check": _HOW_TO_CHECK},
    }
    yield json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}") + ',\n  "events": ['
    yield from _listed(_values(told, evidence.zone) for told in evidence.told())
    yield '\n  ],\n  "texts_that_left": ['
    yield from _listed(_text_values(text) for text in evidence.texts())
    yield "\n  ]\n}\n"


def _listed(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    before = "\n"
    for value in values:
        yield before + json.dumps(value, ensure_ascii=False)
        before = ",\n"


def _text_values(text: TextLeft) -> dict[str, Any]:
    return {**asdict(text), "at": in_utc(text.at_ms), "account": text.account}


def _values(told: Told, zone: str) -> dict[str, Any]:
    event = told.event
    account = {"number": told.account.external_id, "name": told.account.name} if told.account else None
    return {
        "what": told.words,
        "effect": told.effect,
        "happened_at": event.day or in_utc(event.occurred_at_ms),
        "happened_at_local": event.day or in_zone(event.occurred_at_ms, zone),
        "written_down_at": in_utc(event.recorded_at_ms),
        "account": account,
        "by": told.by,
        "source": told.source,
        "words_are": told.words_are if event.words else "",
        "wording": told.wording,
        "answer": asdict(told.answer) if told.answer else None,
        "notes": list(told.notes),
        "event": as_values(event),
    }


def _cells(told: Told, zone: str) -> list[object]:
    event = told.event
    return [
        event.id,
        event.number,
        told.words,
        told.effect,
        event.day or in_utc(event.occurred_at_ms),
        event.day or in_zone(event.occurred_at_ms, zone),
        zone,
        told.account.external_id if told.account else "",
        told.account.name if told.account else told.whose,
        told.by,
        told.source,
        told.words_are if event.words else "",
        event.words,
        told.wording,
        event.wording_version,
        event.message_sid,
        event.ip,
        event.user_agent,
        told.answer.words if told.answer else "",
        told.answer.wording if told.answer else "",
        told.answer.wording_version if told.answer else None,
        " ".join(told.notes),
        in_utc(event.recorded_at_ms),
        event.kind,
        json.dumps(event.detail, sort_keys=True, ensure_ascii=False) if event.detail else "",
        event.previous,
        event.digest,
    ]


def _text_cells(text: TextLeft, zone: str) -> list[object]:
    cells: dict[str, object] = {
        "number": text.number,
        "what": f"Text that left: {text.subject}",
        "happened_at_utc": in_utc(text.at_ms),
        "happened_at_local": in_zone(text.at_ms, zone),
        "time_zone": zone,
        "account_number": text.account_number,
        "account_name": text.account_name,
        "by": "The portal",
        "words_are": "Words of the text",
        "words": text.words,
        "wording": text.wording,
        "wording_version": text.wording_version,
        "message_sid": text.message_sid,
        "notes": f"Allowed by event {text.allowed_by}." if text.allowed_by else "Allowed by no event.",
        "kind": "text",
    }
    return [cells.get(column, "") for column in COLUMNS]
