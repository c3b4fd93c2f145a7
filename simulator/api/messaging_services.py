"""Messaging services and registrations. Twilio serves them at messaging.twilio.com under the same paths."""

from aiohttp import web

from simulator.api.request import ApiRequest
from simulator.api.validation import check_url, is_service_sid
from simulator.error_codes import ApiError, error_message

_CONFIG_FIELDS = {
    "InboundRequestUrl": "inbound_request_url",
    "InboundMethod": "inbound_method",
    "StatusCallback": "status_callback",
    "UseInboundWebhookOnNumber": "use_inbound_webhook_on_number",
}


async def fetch_service(request: ApiRequest) -> web.Response:
    return web.json_response(_service_resource(request, _requested_sid(request)))


async def update_service(request: ApiRequest) -> web.Response:
    sid = _requested_sid(request)
    changes = {field: request.form[name] for name, field in _CONFIG_FIELDS.items() if name in request.form}
    for field in ("inbound_request_url", "status_callback"):
        check_url(changes.get(field, ""))
    for field, value in changes.items():
        request.state.store.set_webhook_config(sid, field, value)
    return web.json_response(_service_resource(request, sid))


async def list_campaigns(request: ApiRequest) -> web.Response:
    sid, status = _requested_sid(request), request.state.faults.account.campaign
    code = request.state.faults.account.rejection_code
    errors = [{"error_code": code, "fields": [], "description": error_message(code)}] if code else []
    campaigns = [{"messaging_service_sid": sid, "campaign_status": status, "errors": errors}] if status else []
    return web.json_response({"compliance": campaigns, "meta": {"key": "compliance", "next_page_url": None}})


async def list_verifications(request: ApiRequest) -> web.Response:
    status = request.state.faults.account.toll_free
    number_sid = request.web.query.get("TollfreePhoneNumberSid")
    code = request.state.faults.account.rejection_code
    reasons = [{"code": code, "reason": error_message(code)}] if code else []
    verification = {"tollfree_phone_number_sid": number_sid, "status": status, "rejection_reasons": reasons}
    verifications = [verification] if status else []
    return web.json_response({"verifications": verifications, "meta": {"key": "verifications", "next_page_url": None}})


def _requested_sid(request: ApiRequest) -> str:
    """Every well-formed service exists."""
    sid = request.web.match_info["sid"]
    if not is_service_sid(sid):
        raise ApiError(20404, 404)
    return sid


def _service_resource(request: ApiRequest, sid: str) -> dict[str, object]:
    state = request.state
    config = {field: value for (owner, field), value in state.store.webhook_config.items() if owner == sid}
    return {
        "sid": sid,
        "account_sid": state.settings.live.account_sid,
        "friendly_name": "Simulator",
        "inbound_request_url": config.get("inbound_request_url") or None,
        "inbound_method": config.get("inbound_method", "POST"),
        "status_callback": config.get("status_callback") or None,
        "use_inbound_webhook_on_number": config.get("use_inbound_webhook_on_number") == "true",
        "us_app_to_person_registered": state.faults.account.campaign == "VERIFIED",
    }
