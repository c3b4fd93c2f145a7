"""An export of evidence as a file, written a line at a time: a ledger of any length goes through."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from portal.consent.consent_export import ConsentExport, DescribedEvent, SentText
from portal.consent.tables.ledger import event_values
from portal.core.rules import csv_output
from portal.core.rules.time_format import format_local, format_utc

CSV_COLUMNS = (
    "event",
    "number",
    "description",
    "effect",
    "occurred_at_utc",
    "occurred_at_local",
    "time_zone",
    "account_number",
    "account_name",
    "actor",
    "source",
    "text_kind",
    "text",
    "wording",
    "content_block_version",
    "message_sid",
    "ip",
    "user_agent",
    "auto_reply",
    "auto_reply_wording",
    "auto_reply_content_block_version",
    "notes",
    "recorded_at_utc",
    "kind",
    "detail",
    "previous_digest",
    "digest",
)
_VERIFICATION_HINT = (
    "Each digest is the SHA-256 of the digest before it, a line feed, and the event without previous and digest, "
    "as JSON in ASCII with sorted keys and no spaces."
)


def export_csv(evidence: ConsentExport) -> Iterator[str]:
    """No cell is taken for a formula by a spreadsheet. The texts that left come after the events."""
    yield csv_output.BYTE_ORDER_MARK + csv_output.format_row(CSV_COLUMNS)
    for told in evidence.events():
        yield csv_output.format_row(_event_cells(told, evidence.time_zone))
    for text in evidence.sent_texts():
        yield csv_output.format_row(_text_cells(text, evidence.time_zone))


def export_json(evidence: ConsentExport) -> Iterator[str]:
    """`events` hold the ledger's own values, so that whoever has the file can check the digests."""
    head = {
        "subject": evidence.subject,
        "exported_at": format_utc(evidence.exported_at_ms),
        "exported_by": evidence.exported_by,
        "time_zone": evidence.time_zone,
        "event_count": evidence.event_count,
        "ledger": {
            "last_event": evidence.last_id,
            "last_digest": evidence.last_digest,
            "verification": _VERIFICATION_HINT,
        },
    }
    yield json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}") + ',\n  "events": ['
    yield from _json_items(_event_values(told, evidence.time_zone) for told in evidence.events())
    yield '\n  ],\n  "sent_texts": ['
    yield from _json_items(_text_values(text) for text in evidence.sent_texts())
    yield "\n  ]\n}\n"


def _json_items(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    before = "\n"
    for value in values:
        yield before + json.dumps(value, ensure_ascii=False)
        before = ",\n"


def _text_values(text: SentText) -> dict[str, Any]:
    return {**asdict(text), "at": format_utc(text.sent_at_ms), "account": text.account}


def _event_values(told: DescribedEvent, zone: str) -> dict[str, Any]:
    event = told.event
    account = {"number": told.account.external_id, "name": told.account.name} if told.account else None
    return {
        "description": told.label,
        "effect": told.effect,
        "occurred_at": event.day or format_utc(event.occurred_at_ms),
        "occurred_at_local": event.day or format_local(event.occurred_at_ms, zone),
        "recorded_at": format_utc(event.recorded_at_ms),
        "account": account,
        "actor": told.actor,
        "source": told.source,
        "words_are": told.text_label if event.text else "",
        "wording": told.wording,
        "auto_reply": asdict(told.auto_reply) if told.auto_reply else None,
        "notes": list(told.notes),
        "event": event_values(event),
    }


def _event_cells(told: DescribedEvent, zone: str) -> list[object]:
    event = told.event
    return [
        event.id,
        event.number,
        told.label,
        told.effect,
        event.day or format_utc(event.occurred_at_ms),
        event.day or format_local(event.occurred_at_ms, zone),
        zone,
        told.account.external_id if told.account else "",
        told.account.name if told.account else told.account_label,
        told.actor,
        told.source,
        told.text_label if event.text else "",
        event.text,
        told.wording,
        event.wording_version,
        event.message_sid,
        event.ip,
        event.user_agent,
        told.auto_reply.text if told.auto_reply else "",
        told.auto_reply.wording if told.auto_reply else "",
        told.auto_reply.content_block_version if told.auto_reply else None,
        " ".join(told.notes),
        format_utc(event.recorded_at_ms),
        event.kind,
        json.dumps(event.detail, sort_keys=True, ensure_ascii=False) if event.detail else "",
        event.previous_digest,
        event.digest,
    ]


def _text_cells(text: SentText, zone: str) -> list[object]:
    cells: dict[str, object] = {
        "number": text.number,
        "description": f"Text that left: {text.subject}",
        "occurred_at_utc": format_utc(text.sent_at_ms),
        "occurred_at_local": format_local(text.sent_at_ms, zone),
        "time_zone": zone,
        "account_number": text.account_number,
        "account_name": text.account_name,
        "actor": "The portal",
        "text_kind": "Words of the text",
        "text": text.text,
        "wording": text.wording,
        "content_block_version": text.content_block_version,
        "message_sid": text.message_sid,
        "notes": f"Allowed by event {text.authorised_by_event_id}."
        if text.authorised_by_event_id
        else "Allowed by no event.",
        "kind": "text",
    }
    return [cells.get(column, "") for column in CSV_COLUMNS]
