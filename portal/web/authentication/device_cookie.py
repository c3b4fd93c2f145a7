"""The cookie by which a trusted device is known: a random token, the same for all accounts of this browser."""

from flask import Response

from portal.core.context import settings
from portal.web.authentication.host_cookies import read_cookie, set_cookie

_NAME, _DAY_SECONDS = "trusted-device", 86_400


def device_token() -> str:
    """ "" if the browser brings none."""
    return read_cookie(_NAME)


def keep_device_token(response: Response, token: str) -> None:
    set_cookie(response, _NAME, token, settings().trusted_device_days * _DAY_SECONDS)
