"""A signed cookie that names the device and the accounts that have signed in on it.

It grants no access. Attempts from a known device have their own counter, so strangers cannot lock its owner out.
"""

import secrets

from flask import Response, request
from itsdangerous import BadData, URLSafeTimedSerializer

from portal.accounts.authentication import SignInClient
from portal.core.context import settings
from portal.core.rules.integrity.signed_values import timed_serializer
from portal.web.authentication.host_cookies import read_cookie, set_cookie

_COOKIE, _COOKIE_LIFETIME_SECONDS = "device", 180 * 86_400
_MAX_ACCOUNTS = 8


def current_client() -> SignInClient:
    """Without a known device if the cookie is missing, invalid or expired."""
    address = request.remote_addr or ""
    try:
        payload = _signer().loads(read_cookie(_COOKIE), max_age=_COOKIE_LIFETIME_SECONDS)
        account_ids = tuple(int(account_id) for account_id in payload["accounts"])
        return SignInClient(address, str(payload["device"]), account_ids)
    except (BadData, KeyError, TypeError, ValueError):
        return SignInClient(address)


def remember_device(response: Response, account_id: int) -> None:
    """Add the account to the device's cookie."""
    client = current_client()
    account_ids = [account_id, *(other for other in client.known_account_ids if other != account_id)][:_MAX_ACCOUNTS]
    payload = {"device": client.device_id or secrets.token_hex(16), "accounts": account_ids}
    set_cookie(response, _COOKIE, str(_signer().dumps(payload)), _COOKIE_LIFETIME_SECONDS)


def _signer() -> URLSafeTimedSerializer:
    return timed_serializer(settings().secret_keys, "known device")
