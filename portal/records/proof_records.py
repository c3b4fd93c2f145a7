"""What a proof of notice says of one communication, as plain values."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from portal.accounts.tables.accounts import Account
from portal.consent.tables import ledger
from portal.consent.tables.ledger import ConsentEvent
from portal.content.rules import markdown
from portal.core.extensions import db
from portal.core.rules.time_format import format_utc
from portal.core.statements import in_list
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.records.communication_details import wording_of
from portal.records.consent_evidence import events_relied_on
from portal.records.content_visibility import hidden_content


def proof_records(communications: Sequence[Communication]) -> list[dict[str, Any]]:
    """The parts of one line of the file for each."""
    event_ids = events_relied_on(communications)
    events = _events(sorted(set(event_ids.values())))
    return [_record(item, events.get(event_ids.get(item.id, 0))) for item in communications]


def ledger_head() -> dict[str, Any]:
    """The end of the consent ledger now: whoever has the ledger can show that nothing before it was changed."""
    last_id, digest = ledger.chain_head()
    return {"last_event": last_id, "digest": digest}


def _events(ids: Sequence[int]) -> Mapping[int, ConsentEvent]:
    query = select(ConsentEvent).where(in_list(ConsentEvent.id, ids))
    return {event.id: event for event in db.session.scalars(query)} if ids else {}


def _record(item: Communication, event: ConsentEvent | None) -> dict[str, Any]:
    return {
        "communication": {
            "id": item.id,
            "send": item.send_id,
            "kind": item.kind,
            "recipient": _recipient(item.account),
            "created_at": format_utc(item.created_at_ms),
            "read_in_portal_at": _time(item.opened_at_ms),
        },
        "content": _content(item),
        "wording": _wording(item),
        "consent": ledger.event_values(event) if event else None,
        "deliveries": [_delivery(delivery) for delivery in item.deliveries],
        "attempts": [_attempt(attempt, row.channel) for row in item.deliveries for attempt in row.attempt_history],
        "receipts": [_receipt(receipt) for row in item.deliveries for receipt in row.receipts],
    }


def _recipient(account: Account) -> dict[str, str]:
    return {"account": account.external_id, "name": account.name}


def _content(item: Communication) -> dict[str, str]:
    """The email is made from the body, which is Markdown, in the frame of the organization.

    `hidden` says why there is no body, if administrators may not read it or it is no longer kept.
    """
    text = next((delivery.body for delivery in item.deliveries if delivery.channel == "sms"), "")
    if hidden := hidden_content(item):
        return {"subject": item.subject, "body": "", "email_text": "", "text": text, "hidden": hidden}
    return {"subject": item.subject, "body": item.body, "email_text": markdown.to_text(item.body), "text": text}


def _wording(item: Communication) -> dict[str, Any]:
    wording = wording_of(item)
    key = item.send.version.template.key if item.send else wording.content_block
    return {"title": wording.title, "key": key, "version": wording.version}


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "channel": delivery.channel,
        "address": delivery.address,
        "state": delivery.state,
        "reason": delivery.reason,
        "error_code": delivery.error_code,
        "segments": delivery.segments,
        "provider_id": delivery.provider_id,
        "state_changed_at": format_utc(delivery.state_changed_at_ms),
    }


def _attempt(attempt: Attempt, channel: str) -> dict[str, Any]:
    return {
        "channel": channel,
        "delivery": attempt.delivery_id,
        "mode": attempt.mode,
        "from": attempt.sender,
        "to": attempt.destination,
        "started_at": format_utc(attempt.started_at_ms),
        "finished_at": _time(attempt.finished_at_ms),
        "outcome": attempt.outcome,
        "provider_id": attempt.provider_id,
        "http_status": attempt.http_status,
        "error_code": attempt.error_code,
        "detail": attempt.detail,
        "segments": attempt.provider_segments,
        "price": attempt.price,
        "price_unit": attempt.price_unit,
    }


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "delivery": receipt.delivery_id,
        "provider_id": receipt.provider_id,
        "status": receipt.status,
        "error_code": receipt.error_code,
        "received_at": format_utc(receipt.received_at_ms),
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else format_utc(at_ms)
