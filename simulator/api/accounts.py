"""The account and its phone numbers."""

from aiohttp import web

from simulator.api.create import check_url
from simulator.api.door import Request
from simulator.codes import ApiError
from simulator.numbers import is_toll_free
from simulator.settings import API_VERSION


async def show_account(request: Request) -> web.Response:
    sid = request.call.account_sid
    account = {
        "sid": sid,
        "friendly_name": "Simulator",
        "status": request.world.faults.account.status,
        "type": request.world.faults.account.type,
        "owner_account_sid": sid,
        "date_created": "Thu, 01 Jan 2026 00:00:00 +0000",
        "date_updated": "Thu, 01 Jan 2026 00:00:00 +0000",
        "uri": f"/{API_VERSION}/Accounts/{sid}.json",
    }
    return web.json_response(account)


async def show_numbers(request: Request) -> web.Response:
    """`PhoneNumber` finds by any part of the number."""
    wanted = request.web.query.get("PhoneNumber", "")
    found = [_number(request, each) for each in request.world.settings.from_numbers if wanted in each]
    envelope = {
        "incoming_phone_numbers": found,
        "page": 0,
        "page_size": 50,
        "start": 0,
        "end": max(0, len(found) - 1),
        "uri": request.web.path_qs,
        "first_page_uri": request.web.path_qs,
        "next_page_uri": None,
        "previous_page_uri": None,
    }
    return web.json_response(envelope)


async def show_number(request: Request) -> web.Response:
    return web.json_response(_number(request, _found(request)))


async def update_number(request: Request) -> web.Response:
    number, sms_url, callback = _found(request), request.form.get("SmsUrl"), request.form.get("StatusCallback")
    for url in (sms_url, callback):
        check_url(url or "")
    if sms_url is not None:
        request.world.store.set_sms_url(number, sms_url)
    if callback is not None:
        request.world.store.set_wire(number, "status_callback", callback)
    if method := request.form.get("SmsMethod"):
        request.world.store.set_wire(number, "sms_method", method)
    if (application := request.form.get("SmsApplicationSid")) is not None:
        request.world.store.set_wire(number, "sms_application_sid", application)
    return web.json_response(_number(request, number))


def _found(request: Request) -> str:
    for number, sid in request.world.phone_sids.items():
        if sid == request.web.match_info["sid"]:
            return number
    raise ApiError(20404, 404)


def _number(request: Request, number: str) -> dict[str, object]:
    world = request.world
    kept, account = world.store.wiring, world.faults.account
    sid = world.phone_sids[number]
    return {
        "sid": sid,
        "account_sid": world.settings.live.account_sid,
        "phone_number": number,
        "friendly_name": number,
        "sms_url": world.store.sms_urls.get(number, world.settings.inbound_url),
        "sms_method": kept.get((number, "sms_method"), "POST"),
        "sms_application_sid": kept.get((number, "sms_application_sid"), "") or None,
        "sms_fallback_url": "",
        "status_callback": kept.get((number, "status_callback"), ""),
        "status_callback_method": "POST",
        "capabilities": {"sms": account.sms, "mms": account.sms, "voice": False, "fax": False},
        "type": "toll_free" if account.number_type == "local" and is_toll_free(number) else account.number_type,
        "status": "in-use",
        "api_version": API_VERSION,
        "uri": f"/{API_VERSION}/Accounts/{world.settings.live.account_sid}/IncomingPhoneNumbers/{sid}.json",
    }
