"""Messaging services and registration: what Twilio keeps at messaging.twilio.com, here at the same address."""

import re

from aiohttp import web

from simulator.api.create import check_url
from simulator.api.door import Request
from simulator.codes import ApiError

_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_FIELDS = {
    "InboundRequestUrl": "inbound_request_url",
    "InboundMethod": "inbound_method",
    "StatusCallback": "status_callback",
    "UseInboundWebhookOnNumber": "use_inbound_webhook_on_number",
}


async def show_service(request: Request) -> web.Response:
    return web.json_response(_service(request, _found(request)))


async def update_service(request: Request) -> web.Response:
    sid, given = _found(request), {ours: request.form[name] for name, ours in _FIELDS.items() if name in request.form}
    for name in ("inbound_request_url", "status_callback"):
        check_url(given.get(name, ""))
    for name, value in given.items():
        request.world.store.set_wire(sid, name, value)
    return web.json_response(_service(request, sid))


async def list_campaigns(request: Request) -> web.Response:
    sid, status = _found(request), request.world.faults.account.campaign
    campaigns = [{"messaging_service_sid": sid, "campaign_status": status}] if status else []
    return web.json_response({"compliance": campaigns, "meta": {"key": "compliance", "next_page_url": None}})


async def list_verifications(request: Request) -> web.Response:
    status = request.world.faults.account.toll_free
    number = request.web.query.get("TollfreePhoneNumberSid")
    found = [{"tollfree_phone_number_sid": number, "status": status}] if status else []
    return web.json_response({"verifications": found, "meta": {"key": "verifications", "next_page_url": None}})


def _found(request: Request) -> str:
    """Any well-formed service is taken for one of ours."""
    sid = request.web.match_info["sid"]
    if not _SERVICE.fullmatch(sid):
        raise ApiError(20404, 404)
    return sid


def _service(request: Request, sid: str) -> dict[str, object]:
    world = request.world
    kept = {name: value for (owner, name), value in world.store.wiring.items() if owner == sid}
    return {
        "sid": sid,
        "account_sid": world.settings.live.account_sid,
        "friendly_name": "Simulator",
        "inbound_request_url": kept.get("inbound_request_url") or None,
        "inbound_method": kept.get("inbound_method", "POST"),
        "status_callback": kept.get("status_callback") or None,
        "use_inbound_webhook_on_number": kept.get("use_inbound_webhook_on_number") == "true",
        "us_app_to_person_registered": world.faults.account.campaign == "VERIFIED",
    }
