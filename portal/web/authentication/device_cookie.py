"""The cookie by which a trusted device is known: a random token, the same for all accounts of this browser."""

from flask import Response, request

from portal.core.context import settings

_DAY_SECONDS = 86_400


def device_token() -> str:
    """ "" if the browser brings none."""
    return request.cookies.get(_cookie_name(), "")


def keep_device_token(response: Response, token: str) -> None:
    response.set_cookie(
        _cookie_name(),
        token,
        max_age=settings().trusted_device_days * _DAY_SECONDS,
        secure=settings().secure_cookies,
        httponly=True,
        samesite="Lax",
    )


def _cookie_name() -> str:
    """Browsers accept the `__Host-` prefix only from this host and over TLS."""
    return "__Host-trusted-device" if settings().secure_cookies else "trusted-device"
