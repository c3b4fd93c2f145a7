"""The cookie of a device that somebody signed in with: what strangers try does not lock its people out.

It opens nothing. It names the device and the accounts, signed, so that tries from it are counted for themselves.
"""

import secrets
from dataclasses import dataclass

from flask import Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from portal.core.context import settings

_COOKIE_LIFETIME_SECONDS = 180 * 86_400
_MAX_ACCOUNTS = 8


@dataclass(frozen=True)
class KnownDevice:
    id: str = ""
    account_ids: tuple[int, ...] = ()


def current_device() -> KnownDevice:
    """Nobody's device when the cookie is missing, not ours, or half a year old."""
    try:
        found = _signer().loads(request.cookies.get(_cookie_name(), ""), max_age=_COOKIE_LIFETIME_SECONDS)
        return KnownDevice(str(found["device"]), tuple(int(account) for account in found["accounts"]))
    except (BadData, KeyError, TypeError, ValueError):
        return KnownDevice()


def remember_device(response: Response, account_id: int) -> None:
    """From now on this device is known to the account, beside the ones that it was known to."""
    known = current_device()
    accounts = [account_id, *(other for other in known.account_ids if other != account_id)][:_MAX_ACCOUNTS]
    response.set_cookie(
        _cookie_name(),
        _signer().dumps({"device": known.id or secrets.token_hex(16), "accounts": accounts}),
        max_age=_COOKIE_LIFETIME_SECONDS,
        secure=settings().secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def _cookie_name() -> str:
    """A browser takes a name with this prefix from us alone, over TLS, for this host only."""
    return "__Host-device" if settings().secure_cookies else "device"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="known device")
