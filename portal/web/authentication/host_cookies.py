"""Cookies for this host only. Over TLS their names begin with `__Host-`, which no other host can set (ADR 61)."""

from flask import request
from werkzeug.wrappers import Response

from portal.core.context import settings


def cookie_name(name: str) -> str:
    """Browsers accept the prefix over TLS only, so that the name on this machine is without it."""
    return f"__Host-{name}" if settings().secure_cookies else name


def read_cookie(name: str) -> str:
    return request.cookies.get(cookie_name(name), "")


def set_cookie(response: Response, name: str, value: str, max_age_seconds: int) -> None:
    """Scripts cannot read it, and other sites cannot send it with a form. An age of 0 deletes it."""
    is_secure = settings().secure_cookies
    name = cookie_name(name)
    response.set_cookie(name, value, max_age=max_age_seconds, secure=is_secure, httponly=True, samesite="Lax")
