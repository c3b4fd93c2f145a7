"""The phones on screen: all of them, and one to text from."""

import asyncio

from aiohttp import web

from simulator.numbers import friendly, is_phone_number, parse_typed
from simulator.pages.phones import Phone, grid, phone
from simulator.pages.render import fragment, page, page_number
from simulator.world import WORLD, World

_LONGEST_REPLY = 1600
_PATIENCE_SECONDS = 2


async def show_handsets(request: web.Request) -> web.Response:
    return _handsets(request)


def _handsets(request: web.Request, typed: str = "", error: str = "") -> web.Response:
    status = 400 if error else 200
    found = grid(request.app[WORLD], page_number(request))
    return page("handsets.html", status, grid=found, typed=typed, error=error)


async def handsets_fragment(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    return fragment(request, world.store.etag, "_phones.html", lambda: {"grid": grid(world, page_number(request))})


async def open_handset(request: web.Request) -> web.Response:
    typed = request.query.get("number", "")
    number = parse_typed(typed)
    if number is None:
        example = "Type a number such as (202) 555-0123 or +12025550123."
        return _handsets(request, typed, f"This is not a phone number. {example}")
    raise web.HTTPSeeOther(f"/handsets/{number}")


async def show_handset(request: web.Request) -> web.Response:
    return _handset(request, _phone(request))


def _handset(request: web.Request, shown: Phone, typed: str = "", error: str = "") -> web.Response:
    values = {"ours": _numbers_to_text(request.app[WORLD], shown.number), "typed": typed, "error": error}
    return page("handset.html", 400 if error else 200, phone=shown, **values)


async def handset_fragment(request: web.Request) -> web.Response:
    etag = request.app[WORLD].store.etag
    return fragment(request, etag, "_conversation.html", lambda: {"phone": _phone(request)})


async def reply(request: web.Request) -> web.Response:
    """The product usually answers before the redirect; one that hangs does not hold up the page."""
    world, shown, form = request.app[WORLD], _phone(request), await request.post()
    body = str(form.get("quick") or form.get("body") or "").strip()
    number = str(form.get("to") or world.settings.from_numbers[0])
    if not body or len(body) > _LONGEST_REPLY or not world.owns(number):
        return _handset(request, shown, body, f"Type a text of at most {_LONGEST_REPLY:,} characters, then send it.")
    delivery = world.tasks.start(world.inbound.receive(shown.number, number, body))
    await asyncio.wait({delivery}, timeout=_PATIENCE_SECONDS)
    raise web.HTTPSeeOther(f"/handsets/{shown.number}#newest")


def _phone(request: web.Request) -> Phone:
    number = request.match_info["number"]
    if not is_phone_number(number):
        raise web.HTTPNotFound(text=f"{number} is not a phone number. Phones live at /handsets.")
    return phone(request.app[WORLD], number)


def _numbers_to_text(world: World, handset: str) -> list[tuple[str, str]]:
    """Our numbers, the one that texted last first."""
    messages = reversed(world.store.by_handset.get(handset, []))
    last = next((each.sender for each in messages if each.direction != "inbound" and world.owns(each.sender)), None)
    numbers = sorted(world.settings.from_numbers, key=lambda number: number != last)
    return [(number, friendly(number)) for number in numbers]
