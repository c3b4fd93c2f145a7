"""GET Messages.json: filters, and pages that are followed by next_page_uri."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web

from simulator.api.door import Request
from simulator.carrier import now_ms
from simulator.codes import ApiError
from simulator.message import Message, resource

_DEFAULT_SIZE, _LARGEST_SIZE = 50, 1000
_DAY_SECONDS = 86_400
_FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")
_TOKEN_PREFIX = "PA"  # noqa: S105 (no secret: the sid of the last message of the page before)


async def list_messages(request: Request) -> web.Response:
    query = request.web.query
    size = min(_whole(query.get("PageSize"), _DEFAULT_SIZE) or _DEFAULT_SIZE, _LARGEST_SIZE)
    page = _whole(query.get("Page"), 0)
    found = _matching(request)
    token = query.get("PageToken")
    skip = _after(found, token) if token else page * size
    messages = found[skip : skip + size]
    envelope = {
        "messages": [resource(message) for message in messages],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": page * size + max(0, len(messages) - 1),
        **_uris(request, page, size, messages, has_more=len(found) > skip + size),
    }
    return web.json_response(envelope)


def _matching(request: Request) -> list[Message]:
    query, world = request.web.query, request.world
    newest_ms = now_ms() - world.faults.list_stale_ms
    tests = _date_tests(query)
    sent_from, sent_to = query.get("From"), query.get("To")
    handset = sent_to if sent_to and not world.owns(sent_to) else None
    return [
        message
        for message in world.store.visible(request.call.account_sid or "", handset)
        if message.created_ms <= newest_ms
        and (sent_to is None or message.recipient == sent_to)
        and (sent_from is None or (message.sender == sent_from and message.status != "accepted"))
        and _is_sent_within(message, tests)
    ]


def _date_tests(query: Mapping[str, str]) -> list[Callable[[int], bool]]:
    """Both ends are inclusive, whole seconds. A plain DateSent names a day."""
    tests: list[Callable[[int], bool]] = []
    if day := query.get("DateSent"):
        first = _seconds(day[:10])
        tests.append(lambda sent: first <= sent < first + _DAY_SECONDS)
    if until := query.get("DateSent<"):
        last = _seconds(until)
        tests.append(lambda sent: sent <= last)
    if since := query.get("DateSent>"):
        earliest = _seconds(since)
        tests.append(lambda sent: sent >= earliest)
    return tests


def _is_sent_within(message: Message, tests: list[Callable[[int], bool]]) -> bool:
    """A text that is not sent yet has no date, so no date filter finds it."""
    if not tests:
        return True
    return message.sent_ms is not None and all(test(message.sent_ms // 1000) for test in tests)


def _seconds(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(20001, detail=f"{text} is not a date: use YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ.") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _whole(text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal():
        raise ApiError(20001, detail=f"{text} is not a whole number.")
    return int(text)


def _after(found: list[Message], token: str) -> int:
    for place, message in enumerate(found):
        if _TOKEN_PREFIX + message.sid == token:
            return place + 1
    raise ApiError(21481)


def _uris(request: Request, page: int, size: int, messages: list[Message], has_more: bool) -> dict[str, str | None]:
    kept = {name: value for name, value in request.web.query.items() if name in _FILTERS}

    def uri(number: int, **more: str) -> str:
        return request.web.path + "?" + urlencode({**kept, "PageSize": size, "Page": number, **more})

    return {
        "uri": request.web.path_qs,
        "first_page_uri": uri(0),
        "next_page_uri": uri(page + 1, PageToken=_TOKEN_PREFIX + messages[-1].sid) if has_more else None,
        "previous_page_uri": uri(page - 1) if page > 0 else None,
    }
