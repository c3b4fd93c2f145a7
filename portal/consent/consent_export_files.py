"""Write consent evidence as CSV or JSON, line by line, so that the ledger may have any length."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from typing import Any

from portal.consent.consent_export import ConsentExport, DescribedEvent, SentText
from portal.consent.tables.ledger import event_values
from portal.core.rules import csv_output
from portal.core.rules.time_format import format_local, format_utc
from portal.core.translation import gettext as _

CSV_COLUMNS = (
    "event", "number", "description", "effect", "occurred_at_utc", "occurred_at_local", "time_zone", "account_number",
    "account_name", "actor", "source", "text_kind", "text", "wording", "wording_version", "message_sid", "ip",
    "user_agent", "auto_reply", "auto_reply_wording", "auto_reply_wording_version", "notes", "recorded_at_utc", "kind",
    "detail", "previous_digest", "digest",
)  # fmt: skip
_VERIFICATION_HINT = (
    "Each digest is the SHA-256 of the digest before it, a line feed, and the event without previous_digest and "
    "digest, as JSON in ASCII with sorted keys and no spaces."
)


def export_csv(export: ConsentExport) -> Iterator[str]:
    """The sent texts come after the events. No cell can be read as a formula by a spreadsheet."""
    yield csv_output.BYTE_ORDER_MARK + csv_output.format_row(CSV_COLUMNS)
    events = (_event_cells(event, export.time_zone) for event in export.events())
    texts = (_text_cells(text, export.time_zone) for text in export.sent_texts())
    for cells in chain(events, texts):
        yield csv_output.format_row([cells.get(column) for column in CSV_COLUMNS])


def export_json(export: ConsentExport) -> Iterator[str]:
    """Each `event` holds the values of the ledger itself, so that the digests can be verified from the file."""
    head = {
        "subject": export.subject,
        "exported_at": format_utc(export.exported_at_ms),
        "exported_by": export.exported_by,
        "time_zone": export.time_zone,
        "event_count": export.event_count,
        "ledger": {"last_event": export.last_id, "last_digest": export.last_digest, "verification": _VERIFICATION_HINT},
    }
    yield json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}") + ',\n  "events": ['
    yield from _json_items(_event_values(event, export.time_zone) for event in export.events())
    yield '\n  ],\n  "sent_texts": ['
    yield from _json_items(
        {**asdict(text), "at": format_utc(text.sent_at_ms), "account": text.account} for text in export.sent_texts()
    )
    yield "\n  ]\n}\n"


def _json_items(values: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = "\n"
    for value in values:
        yield separator + json.dumps(value, ensure_ascii=False)
        separator = ",\n"


def _event_values(described: DescribedEvent, zone: str) -> dict[str, Any]:
    event = described.event
    account = {"number": described.account.external_id, "name": described.account.name} if described.account else None
    return {
        "description": described.label,
        "effect": described.effect,
        "occurred_at": event.day or format_utc(event.occurred_at_ms),
        "occurred_at_local": event.day or format_local(event.occurred_at_ms, zone),
        "recorded_at": format_utc(event.recorded_at_ms),
        "account": account,
        "actor": described.actor,
        "source": described.source,
        "text_kind": described.text_label if event.text else "",
        "wording": described.wording,
        "auto_reply": asdict(described.auto_reply) if described.auto_reply else None,
        "notes": list(described.notes),
        "event": event_values(event),
    }


def _event_cells(described: DescribedEvent, zone: str) -> dict[str, Any]:
    event, values = described.event, _event_values(described, zone)
    account, auto_reply = values["account"] or {"name": described.account_label}, values["auto_reply"] or {}
    return {
        **values["event"],
        **values,
        "event": event.id,
        "occurred_at_utc": values["occurred_at"],
        "time_zone": zone,
        "account_number": account.get("number"),
        "account_name": account["name"],
        "wording_version": event.content_block_version,
        "auto_reply": auto_reply.get("text"),
        "auto_reply_wording": auto_reply.get("wording"),
        "auto_reply_wording_version": auto_reply.get("wording_version"),
        "notes": " ".join(described.notes),
        "recorded_at_utc": values["recorded_at"],
        "detail": json.dumps(event.detail, sort_keys=True, ensure_ascii=False) if event.detail else "",
    }


def _text_cells(text: SentText, zone: str) -> dict[str, Any]:
    return {
        **asdict(text),
        "description": _("Text sent: %(subject)s", subject=text.subject),
        "occurred_at_utc": format_utc(text.sent_at_ms),
        "occurred_at_local": format_local(text.sent_at_ms, zone),
        "time_zone": zone,
        "actor": _("The portal"),
        "text_kind": _("Text sent"),
        "notes": _("Allowed by: %(authority)s.", authority=text.authority or _("no event in the ledger")),
        "kind": "text",
    }
