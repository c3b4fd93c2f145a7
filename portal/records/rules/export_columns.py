"""What an export says of a communication: the same columns in each format."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from portal.core.rules.delivery_status import STATES, displayed_state
from portal.core.rules.phone import mask_phone
from portal.core.rules.routing import Reason
from portal.messages.rules.message_modes import mask_email_address

_BOTH = (
    "communication", "created_at", "kind", "send", "template", "template_name", "account_number", "name", "subject",
    "read_at", "email_address", "email_status", "email_reason", "email_status_at",
)  # fmt: skip
_TEXT = ("phone_number", "text_status", "text_reason", "text_status_at", "segments")


def column_names(with_sms: bool) -> tuple[str, ...]:
    """In English in every language, since programs read them."""
    return (*_BOTH, *_TEXT) if with_sms else _BOTH


def cells(row: Any, columns: Sequence[str], zone: ZoneInfo, is_masked: bool) -> list[Any]:
    """The values of a `tables.export_rows.ExportRow`; None where there is nothing."""
    values = _values(row, zone, is_masked)
    return [values[column] for column in columns]


def _values(row: Any, zone: ZoneInfo, is_masked: bool) -> Mapping[str, Any]:
    text_state = None if row.text_state is None else displayed_state(row.text_state, row.text_check_at_ms)
    return {
        "communication": row.id,
        "created_at": _time(row.created_at_ms, zone),
        "kind": row.kind,
        "send": row.send_id,
        "template": row.template_key,
        "template_name": row.template_name,
        "account_number": row.account_number,
        "name": row.account_name,
        "subject": row.subject,
        "read_at": _time(row.opened_at_ms, zone),
        "email_address": _address(row.email_address, is_masked),
        "email_status": _label(row.email_state),
        "email_reason": _reason(row.email_reason),
        "email_status_at": _time(row.email_changed_at_ms, zone),
        "phone_number": _address(row.phone, is_masked),
        "text_status": _label(text_state),
        "text_reason": _reason(row.text_reason),
        "text_status_at": _time(row.text_changed_at_ms, zone),
        "segments": row.segments,
    }


def _time(at_ms: int | None, zone: ZoneInfo) -> str | None:
    """ISO 8601 with the offset of the zone, such as 2026-03-01T09:30:00-05:00."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms // 1000, zone).isoformat()


def _address(address: str | None, is_masked: bool) -> str | None:
    if not address or not is_masked:
        return address or None
    return mask_email_address(address) if "@" in address else mask_phone(address)


def _label(state: str | None) -> str | None:
    return None if state is None else STATES[state].label


def _reason(reason: str | None) -> str | None:
    return _REASONS.get(reason or "", reason) or None


_REASONS: dict[str, str] = {reason.value: reason.label for reason in Reason}
