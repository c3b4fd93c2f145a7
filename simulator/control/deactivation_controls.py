"""Set which phone numbers the carriers deactivated on a day."""

from datetime import date

from aiohttp import web

from simulator.control.input import BadRequest, json_body
from simulator.number_formats import is_phone_number
from simulator.state import STATE


async def set_deactivations(request: web.Request) -> web.Response:
    """`{"2026-11-27": ["+12025550123"]}` replaces the lists of these days."""
    store = request.app[STATE].store
    for day, numbers in (await json_body(request)).items():
        if not _is_day(day) or not isinstance(numbers, list) or not all(map(is_phone_number, numbers)):
            raise BadRequest("Map days such as 2026-11-27 to lists of phone numbers such as +12025550123.")
        store.set_deactivated(day, numbers)
    return web.json_response({"days": sorted(store.deactivated)})


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
