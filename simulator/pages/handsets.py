"""The list of handsets, and the page of one handset with a form to text from it."""

import asyncio

from aiohttp import web

from simulator.number_formats import format_phone_number, is_phone_number, parse_phone_number
from simulator.pages.handset_views import HandsetView, handset_list, handset_view
from simulator.pages.page_rendering import fragment, page, page_number
from simulator.state import STATE, State

_MAX_BODY_LENGTH = 1600
_MAX_WAIT_SECONDS = 2


async def show_handsets(request: web.Request) -> web.Response:
    return _handsets_page(request)


def _handsets_page(request: web.Request, value: str = "", error: str = "") -> web.Response:
    handsets = handset_list(request.app[STATE], page_number(request))
    return page("handsets.html", 400 if error else 200, list=handsets, value=value, error=error)


async def handsets_fragment(request: web.Request) -> web.Response:
    state, number = request.app[STATE], page_number(request)
    return fragment(request, state.store.etag, "_handsets.html", lambda: {"list": handset_list(state, number)})


async def open_handset(request: web.Request) -> web.Response:
    value = request.query.get("number", "")
    number = parse_phone_number(value)
    if number is None:
        example = "Enter a number such as (202) 555-0123 or +12025550123."
        return _handsets_page(request, value, f"This is not a phone number. {example}")
    raise web.HTTPSeeOther(f"/handsets/{number}")


async def show_handset(request: web.Request) -> web.Response:
    return _handset_page(request, _requested_handset(request))


def _handset_page(request: web.Request, handset: HandsetView, value: str = "", error: str = "") -> web.Response:
    sending_numbers = _sending_numbers(request.app[STATE], handset.number)
    status = 400 if error else 200
    return page("handset.html", status, handset=handset, sending_numbers=sending_numbers, value=value, error=error)


async def handset_fragment(request: web.Request) -> web.Response:
    etag = request.app[STATE].store.etag
    return fragment(request, etag, "_conversation.html", lambda: {"handset": _requested_handset(request)})


async def send_text(request: web.Request) -> web.Response:
    """Usually the application responds before the redirect. If it hangs, the redirect does not wait for it."""
    state, handset, form = request.app[STATE], _requested_handset(request), await request.post()
    body = str(form.get("quick") or form.get("body") or "").strip()
    sending_number = str(form.get("to") or state.settings.from_numbers[0])
    if not body or len(body) > _MAX_BODY_LENGTH or not state.owns(sending_number):
        return _handset_page(request, handset, body, f"Enter a text of at most {_MAX_BODY_LENGTH:,} characters.")
    delivery = state.tasks.start(state.inbound.receive(handset.number, sending_number, body))
    await asyncio.wait({delivery}, timeout=_MAX_WAIT_SECONDS)
    raise web.HTTPSeeOther(f"/handsets/{handset.number}#newest")


def _requested_handset(request: web.Request) -> HandsetView:
    number = request.match_info["number"]
    if not is_phone_number(number):
        raise web.HTTPNotFound(text=f"{number} is not a phone number. See /handsets for all handsets.")
    return handset_view(request.app[STATE], number)


def _sending_numbers(state: State, handset: str) -> list[tuple[str, str]]:
    """The sending numbers with their labels. The one that last texted the handset comes first."""
    texts = [message for message in state.store.by_handset.get(handset, []) if message.direction != "inbound"]
    last = next((text.from_number for text in reversed(texts) if state.owns(text.from_number)), None)
    numbers = sorted(state.settings.from_numbers, key=lambda number: number != last)
    return [(number, format_phone_number(number)) for number in numbers]
