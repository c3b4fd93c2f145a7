"""The Account resource and its phone numbers."""

from aiohttp import web

from simulator.api.request import ApiRequest
from simulator.api.validation import check_url
from simulator.error_codes import ApiError
from simulator.number_formats import is_toll_free
from simulator.settings import API_VERSION

_CONFIG_FIELDS = {
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "StatusCallback": "status_callback",
    "SmsApplicationSid": "sms_application_sid",
}


async def fetch_account(request: ApiRequest) -> web.Response:
    sid = request.log_entry.account_sid
    account = {
        "sid": sid,
        "friendly_name": "Simulator",
        "status": request.state.faults.account.status,
        "type": request.state.faults.account.type,
        "owner_account_sid": sid,
        "date_created": "Thu, 01 Jan 2026 00:00:00 +0000",
        "date_updated": "Thu, 01 Jan 2026 00:00:00 +0000",
        "uri": f"/{API_VERSION}/Accounts/{sid}.json",
    }
    return web.json_response(account)


async def list_phone_numbers(request: ApiRequest) -> web.Response:
    """The `PhoneNumber` filter matches any part of a number."""
    pattern = request.web.query.get("PhoneNumber", "")
    numbers = [number for number in request.state.settings.from_numbers if pattern in number]
    page = {
        "incoming_phone_numbers": [_phone_number_resource(request, number) for number in numbers],
        "page": 0,
        "page_size": 50,
        "start": 0,
        "end": max(0, len(numbers) - 1),
        "uri": request.web.path_qs,
        "first_page_uri": request.web.path_qs,
        "next_page_uri": None,
        "previous_page_uri": None,
    }
    return web.json_response(page)


async def fetch_phone_number(request: ApiRequest) -> web.Response:
    return web.json_response(_phone_number_resource(request, _requested_number(request)))


async def update_phone_number(request: ApiRequest) -> web.Response:
    number = _requested_number(request)
    for name in ("SmsUrl", "StatusCallback"):
        check_url(request.form.get(name, ""))
    for name, field in _CONFIG_FIELDS.items():
        if name in request.form:
            request.state.store.set_webhook_config(number, field, request.form[name])
    return web.json_response(_phone_number_resource(request, number))


def _requested_number(request: ApiRequest) -> str:
    for number, sid in request.state.phone_number_sids.items():
        if sid == request.web.match_info["sid"]:
            return number
    raise ApiError(20404, 404)


def _phone_number_resource(request: ApiRequest, number: str) -> dict[str, object]:
    state = request.state
    config, account = state.store.webhook_config, state.faults.account
    sid = state.phone_number_sids[number]
    return {
        "sid": sid,
        "account_sid": state.settings.live.account_sid,
        "phone_number": number,
        "friendly_name": number,
        "sms_url": config.get((number, "sms_url"), state.settings.inbound_url),
        "sms_method": config.get((number, "sms_method")) or "POST",
        "sms_application_sid": config.get((number, "sms_application_sid"), "") or None,
        "sms_fallback_url": "",
        "status_callback": config.get((number, "status_callback"), ""),
        "status_callback_method": "POST",
        "capabilities": {"sms": account.sms, "mms": account.sms, "voice": False, "fax": False},
        "type": "toll_free" if account.number_type == "local" and is_toll_free(number) else account.number_type,
        "status": "in-use",
        "api_version": API_VERSION,
        "uri": f"/{API_VERSION}/Accounts/{state.settings.live.account_sid}/IncomingPhoneNumbers/{sid}.json",
    }
