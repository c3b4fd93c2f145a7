"""Read and validate the input of control API requests. Every function raises `BadRequest`."""

from json import JSONDecodeError
from typing import Any

from aiohttp import web


class BadRequest(ValueError):
    """The request is invalid; the message says what is required."""


async def json_body(request: web.Request) -> dict[str, Any]:
    try:
        data = await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body must be JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object.")
    return data


def string(data: dict[str, Any], name: str, default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(f"{name} is required and must be a string.")
    return value


def whole_number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    if not text.isdecimal():
        raise BadRequest(f"{name} must be a whole number.")
    return int(text)
