"""The cookie of a device that somebody signed in with: what strangers try does not lock its people out.

It opens nothing. It names the device and the accounts, signed, so that tries from it are counted for themselves.
"""

import secrets
from dataclasses import dataclass

from flask import Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from portal.context import settings

_KEPT_SECONDS = 180 * 86_400
_MOST_ACCOUNTS = 8


@dataclass(frozen=True)
class Device:
    name: str = ""
    accounts: tuple[int, ...] = ()


def device_of_request() -> Device:
    """Nobody's device when the cookie is missing, not ours, or half a year old."""
    try:
        found = _signer().loads(request.cookies.get(_cookie(), ""), max_age=_KEPT_SECONDS)
        return Device(str(found["device"]), tuple(int(account) for account in found["accounts"]))
    except (BadData, KeyError, TypeError, ValueError):
        return Device()


def remember(response: Response, account_id: int) -> None:
    """From now on this device is known to the account, beside the ones that it was known to."""
    known = device_of_request()
    accounts = [account_id, *(other for other in known.accounts if other != account_id)][:_MOST_ACCOUNTS]
    response.set_cookie(
        _cookie(),
        _signer().dumps({"device": known.name or secrets.token_hex(16), "accounts": accounts}),
        max_age=_KEPT_SECONDS,
        secure=settings().secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def _cookie() -> str:
    """A browser takes a name with this prefix from us alone, over TLS, for this host only."""
    return "__Host-device" if settings().secure_cookies else "device"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="known device")
