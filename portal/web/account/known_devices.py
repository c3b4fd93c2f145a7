"""A signed cookie that names the device and the accounts that have signed in on it.

It grants no access. Attempts from a known device have their own counter, so strangers cannot lock its owner out.
"""

import secrets

from flask import Response, current_app, request
from itsdangerous import BadData, URLSafeTimedSerializer

from portal.accounts.authentication import SignInClient
from portal.core.context import settings

_COOKIE_LIFETIME_SECONDS = 180 * 86_400
_MAX_ACCOUNTS = 8


def current_client() -> SignInClient:
    """Without a known device if the cookie is missing, invalid or expired."""
    address = request.remote_addr or ""
    try:
        payload = _signer().loads(request.cookies.get(_cookie_name(), ""), max_age=_COOKIE_LIFETIME_SECONDS)
        account_ids = tuple(int(account_id) for account_id in payload["accounts"])
        return SignInClient(address, str(payload["device"]), account_ids)
    except (BadData, KeyError, TypeError, ValueError):
        return SignInClient(address)


def remember_device(response: Response, account_id: int) -> None:
    """Add the account to the device's cookie."""
    client = current_client()
    account_ids = [account_id, *(other for other in client.known_account_ids if other != account_id)][:_MAX_ACCOUNTS]
    response.set_cookie(
        _cookie_name(),
        _signer().dumps({"device": client.device_id or secrets.token_hex(16), "accounts": account_ids}),
        max_age=_COOKIE_LIFETIME_SECONDS,
        secure=settings().secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def _cookie_name() -> str:
    """Browsers accept the `__Host-` prefix only from this host and over TLS."""
    return "__Host-device" if settings().secure_cookies else "device"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="known device")
