"""GET Messages.json, with filters and with pages linked by next_page_uri (docs/twilio.md#listing)."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import web

from simulator.api.request import ApiRequest
from simulator.current_time import now_ms
from simulator.error_codes import ApiError
from simulator.messages.message import Message, message_resource

_DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE = 50, 1000
_DAY_SECONDS = 86_400
_FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")
_TOKEN_PREFIX = "PA"  # noqa: S105 (not a secret: the token is the sid of the previous page's last message)


async def list_messages(request: ApiRequest) -> web.Response:
    query = request.web.query
    page_size = min(_whole_number(query.get("PageSize"), _DEFAULT_PAGE_SIZE) or _DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE)
    page = _whole_number(query.get("Page"), 0)
    matches = _matching_messages(request)
    token = query.get("PageToken")
    first = _index_after(matches, token) if token else page * page_size
    messages = matches[first : first + page_size]
    body = {
        "messages": [message_resource(message) for message in messages],
        "page": page,
        "page_size": page_size,
        "start": page * page_size,
        "end": page * page_size + max(0, len(messages) - 1),
        **_page_uris(request, page, page_size, messages, has_more=len(matches) > first + page_size),
    }
    return web.json_response(body)


def _matching_messages(request: ApiRequest) -> list[Message]:
    query, state = request.web.query, request.state
    newest_ms = now_ms() - state.faults.list_stale_ms
    dates_sent = _dates_sent(query)
    from_number, to_number = query.get("From"), query.get("To")
    handset = to_number if to_number and not state.owns(to_number) else None
    return [
        message
        for message in state.store.listed_messages(request.log_entry.account_sid or "", handset)
        if message.created_ms <= newest_ms
        and (to_number is None or message.to_number == to_number)
        and (from_number is None or (message.from_number == from_number and message.status != "accepted"))
        and (dates_sent is None or (message.sent_ms is not None and message.sent_ms // 1000 in dates_sent))
    ]


def _dates_sent(query: Mapping[str, str]) -> range | None:
    """The seconds that the filters select; None without a filter. A plain DateSent selects a day.

    A text that has not been sent has no date, so it matches no date filter.
    """
    first, last = 0, sys.maxsize
    day, since, until = (query.get(name) for name in ("DateSent", "DateSent>", "DateSent<"))
    if day:
        first = _seconds(day[:10])
        last = first + _DAY_SECONDS - 1
    if since:
        first = max(first, _seconds(since))
    if until:
        last = min(last, _seconds(until))
    return range(first, last + 1) if day or since or until else None


def _seconds(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(20001, detail=f"{text} is not a date. Use YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ.") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _whole_number(text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isdecimal():
        raise ApiError(20001, detail=f"{text} is not a whole number.")
    return int(text)


def _index_after(messages: list[Message], token: str) -> int:
    for index, message in enumerate(messages):
        if _TOKEN_PREFIX + message.sid == token:
            return index + 1
    raise ApiError(21481)


def _page_uris(
    request: ApiRequest, page: int, page_size: int, messages: list[Message], has_more: bool
) -> dict[str, str | None]:
    filters = {name: value for name, value in request.web.query.items() if name in _FILTERS}

    def uri(page: int, **token: str) -> str:
        return request.web.path + "?" + urlencode({**filters, "PageSize": page_size, "Page": page, **token})

    return {
        "uri": request.web.path_qs,
        "first_page_uri": uri(0),
        "next_page_uri": uri(page + 1, PageToken=_TOKEN_PREFIX + messages[-1].sid) if has_more else None,
        "previous_page_uri": uri(page - 1) if page > 0 else None,
    }
