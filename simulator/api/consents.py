"""POST Consents/Bulk: up to 25 opt-ins and opt-outs at once. Twilio serves it at accounts.twilio.com."""

import json
import re
from datetime import datetime
from typing import Any

from aiohttp import web

from simulator.api.request import ApiRequest
from simulator.api.validation import is_service_sid
from simulator.error_codes import ApiError
from simulator.faults.fields import FaultError, json_object
from simulator.number_formats import is_phone_number

_MAX_ITEMS, _INVALID_ITEM = 25, 30646
_CORRELATION_ID = re.compile(r"[0-9a-f]{32}\Z")
_CHOICES = {
    "status": ("opt-in", "opt-out"),
    "source": ("website", "offline", "opt-in-message", "opt-out-message", "others"),
}


async def create_consents(request: ApiRequest) -> web.Response:
    """The log keeps the items as the body of the request."""
    items = _items([str(item) for item in (await request.web.post()).getall("Items", [])])
    request.log_entry.body = json.dumps(items)
    results = [_result(request, item) for item in items]
    return web.json_response({"items": results}, status=201)


def _items(texts: list[str]) -> list[dict[str, Any]]:
    try:
        items = [dict(json_object(json.loads(text), "an item")) for text in texts]
    except (ValueError, FaultError):
        raise ApiError(20001) from None
    if not 1 <= len(items) <= _MAX_ITEMS:
        raise ApiError(20001, detail=f"Items must have 1 to {_MAX_ITEMS} elements.")
    return items


def _result(request: ApiRequest, item: dict[str, Any]) -> dict[str, object]:
    problems = _problems(request, item)
    code = _INVALID_ITEM if problems else 0
    fault = request.state.faults.next_api_fault("consent", str(item.get("contact_id", "")))
    if fault is not None and fault.kind == "reject":
        code, problems = fault.code or _INVALID_ITEM, ["INVALID_CONTACT_ID"]
    if not code:
        _store(request, item)
    return {"correlation_id": item.get("correlation_id"), "error_code": code, "error_messages": problems}


def _problems(request: ApiRequest, item: dict[str, Any]) -> list[str]:
    sender = str(item.get("sender_id", ""))
    checks = {
        "contact_id": is_phone_number(str(item.get("contact_id", ""))),
        "correlation_id": bool(_CORRELATION_ID.match(str(item.get("correlation_id", "")))),
        "sender_id": request.state.owns(sender) or is_service_sid(sender),
        **{name: item.get(name) in allowed for name, allowed in _CHOICES.items()},
        "date_of_consent": _is_time(item.get("date_of_consent") or "2026-01-01T00:00:00Z"),
    }
    return [f"INVALID_{name.upper()}" for name, is_valid in checks.items() if not is_valid]


def _is_time(text: object) -> bool:
    try:
        return datetime.fromisoformat(str(text)).tzinfo is not None
    except ValueError:
        return False


def _store(request: ApiRequest, item: dict[str, Any]) -> None:
    """An opt-out blocks the handset as STOP does, an opt-in lifts the block; a service stands for all its numbers."""
    store, sender = request.state.store, item["sender_id"]
    numbers = request.state.settings.from_numbers if is_service_sid(sender) else (sender,)
    change = store.add_opt_out if item["status"] == "opt-out" else store.remove_opt_out
    for number in numbers:
        change(number, item["contact_id"])
