"""Authenticate API requests by HTTP basic authentication."""

import base64
import binascii
import hmac

from aiohttp import web

from simulator.api.request import ApiRequest
from simulator.error_codes import ApiError
from simulator.settings import AccountCredentials


def basic_auth(request: web.Request) -> tuple[str, str]:
    """The user name and password of the request, or two empty strings."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def authenticate(request: ApiRequest) -> None:
    """The credentials must be those of the account in the path.

    Test credentials can only create messages (docs/twilio.md#test-credentials).
    """
    name, password = basic_auth(request.web)
    settings = request.state.settings
    valid = any(_matches(credentials, name, password) for credentials in (settings.live, settings.test, settings.key))
    account_sid = settings.live.account_sid if name == settings.key.account_sid else name
    if not valid or request.web.match_info.get("account_sid", account_sid) != account_sid:
        raise ApiError(20003, 401, detail="Your AccountSid or AuthToken was incorrect.")
    if name == settings.key.account_sid and request.log_entry.kind == "account":
        raise ApiError(20003, 401, detail="A standard API key cannot access the Account resource.")
    request.log_entry.account_sid = account_sid
    if request.is_test and request.log_entry.kind != "create":
        raise ApiError(20008, 403)


def _matches(credentials: AccountCredentials, name: str, password: str) -> bool:
    return name == credentials.account_sid and hmac.compare_digest(password.encode(), credentials.auth_token.encode())
