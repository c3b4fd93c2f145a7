"""What the portal knows of a person, as a file for them: JSON for programs, and a page to read (ADR 46)."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from portal.accounts.account_language import recipient_language
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import all_attributes, values_of
from portal.accounts.tables.phone_numbers import phones_of
from portal.authentication.device_trust import trusted_devices_of
from portal.authentication.rules.devices import Device
from portal.authentication.session_management import valid_sessions
from portal.authentication.tables.external_identities import identities_of
from portal.authentication.tables.passkeys import passkeys_of
from portal.consent.rules.consent_labels import event_label
from portal.consent.tables import inbound_messages, ledger, ledger_search
from portal.consent.tables.ledger_search import LedgerFilter
from portal.content.rules import markdown
from portal.content.tables.topics import names_of_topics_off
from portal.core import audit_log
from portal.core.rules.delivery_status import STATES, displayed_state
from portal.core.rules.time_format import format_utc
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.messages.tables import communication_history
from portal.messages.tables.communications import Communication, Delivery

_PAGE_SIZE = 200


def personal_data(account: Account, now_ms: int) -> dict[str, Any]:
    """Texts that came from a number are in it if the account has consented for the number: it may be a stranger's."""
    return {
        "exported_at": format_utc(now_ms),
        "account": {
            "account_number": account.external_id,
            "name": account.name,
            "email": account.email,
            "account_type": account.account_type,
            "role": account.role,
            "time_zone": account.timezone,
            "language": recipient_language(account.language).code,
            "created_at": format_utc(account.created_at_ms),
        },
        "attributes": _attributes(account.id),
        "phone_numbers": [
            {"number": phone.number, "label": phone.label, "added_at": format_utc(phone.created_at_ms)}
            for phone in phones_of(account.id)
        ],
        **_ways_to_sign_in(account, now_ms),
        "topics_without_texts": names_of_topics_off(account.id),
        "consent": list(_consent(account.id)),
        "communications": [_communication(item) for item in _communications(account.id)],
        "texts_from_you": list(_texts_from(account.id)),
    }


def record_download(account: Account, actor_id: int, now_ms: int) -> None:
    with transaction():
        subject, detail = f"account {account.external_id}", {"account_id": account.id}
        audit_log.record_audit_entry("personal_data_downloaded", subject, actor_id, now_ms, **detail)


def zip_file(data: dict[str, Any], page: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("personal-data.json", json.dumps(data, indent=2, ensure_ascii=False))
        archive.writestr("personal-data.html", page)
    return file.getvalue()


def _attributes(account_id: int) -> dict[str, str]:
    values = values_of([account_id]).get(account_id, {})
    return {attribute.label: values[attribute.key] for attribute in all_attributes() if attribute.key in values}


def _ways_to_sign_in(account: Account, now_ms: int) -> dict[str, Any]:
    return {
        "trusted_devices": [
            {"browser": device.browser, "trusted_since": format_utc(device.created_at_ms)}
            for device in trusted_devices_of(account, now_ms)
        ],
        "sessions": [
            {
                "device": Device(row.browser, row.system).label,
                "network_address": row.address,
                "signed_in_at": format_utc(row.created_at_ms),
                "last_used_at": format_utc(row.last_seen_at_ms),
            }
            for row in valid_sessions(account, now_ms)
        ],
        "single_sign_on": [
            {"issuer": identity.issuer, "subject": identity.subject, "since": format_utc(identity.connected_at_ms)}
            for identity in identities_of(account.id)
        ],
        "passkeys": [
            {"name": passkey.name, "added_at": format_utc(passkey.created_at_ms)} for passkey in passkeys_of(account.id)
        ],
    }


def _consent(account_id: int) -> Iterator[dict[str, Any]]:
    last_id, _digest = ledger.chain_head()
    for events in ledger_search.iterate_pages(LedgerFilter(account_id=account_id), last_id):
        for event in events:
            yield {
                "event": event.id,
                "number": event.number,
                "what": event_label(event.kind, event.source).text,
                "occurred_at": format_utc(event.occurred_at_ms),
                "text": event.text,
            }


def _communications(account_id: int) -> Iterator[Communication]:
    before: int | None = None
    while page := communication_history.account_page(account_id, before, _PAGE_SIZE, with_sms=True):
        yield from page
        before = page[-1].id


def _communication(item: Communication) -> dict[str, Any]:
    return {
        "sent_at": format_utc(item.created_at_ms),
        "subject": item.subject,
        "text": _("No longer kept") if item.body_deleted_at_ms else markdown.to_text(item.body),
        "read_at": None if item.read_at_ms is None else format_utc(item.read_at_ms),
        "deliveries": [_delivery(delivery) for delivery in item.deliveries],
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    """Without the reason of a text that was not sent: it may be about somebody else with the same number."""
    return {
        "channel": delivery.channel,
        "address": delivery.address,
        "status": _(STATES[displayed_state(delivery.state, delivery.due_at_ms)].label),
        "status_at": format_utc(delivery.state_changed_at_ms),
    }


def _texts_from(account_id: int) -> Iterator[dict[str, Any]]:
    own_numbers = {phone.number for phone in phones_of(account_id)} & ledger.consented_numbers(account_id)
    for number in sorted(own_numbers):
        for message in inbound_messages.messages_from(number):
            yield {"from": number, "received_at": format_utc(message.received_at_ms), "text": message.body}
