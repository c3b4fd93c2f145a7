"""The web app: pages for browsers, webhooks for Twilio."""

import hashlib
import hmac
from datetime import timedelta
from functools import cache
from typing import Any

from flask import Blueprint, Flask
from itsdangerous import Signer
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.utils import find_modules, import_string

from portal.core.config import Settings
from portal.core.extensions import csrf, engine_options
from portal.web import (
    access,
    compression,
    error_pages,
    languages,
    layout,
    public_url,
    request_input,
    security_headers,
    template_filters,
)
from portal.web.account import sign_in_pages
from portal.web.authentication import recent_sign_in, second_factor_gate
from portal.web.browser_defences import fetch_metadata, subresource_integrity, trusted_hosts
from portal.web.help import help_links

_MAX_REQUEST_BYTES = 1024 * 1024
_MODULES = [import_string(name) for name in find_modules(__name__, recursive=True)]
"""Every module of this package. Imported here, so that processes forked from one import share them."""


def flask_config(settings: Settings) -> dict[str, Any]:
    password_salt = hmac.new(settings.secret_key.encode(), b"password salt", hashlib.sha256).hexdigest()
    return {
        "PORTAL": settings,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings.database_url),
        "SECRET_KEY": settings.secret_key,
        # A tuple, since Flask-Security would sign with the last of a list; it signs nothing that outlives a request.
        "SECRET_KEY_FALLBACKS": settings.secret_keys[1:],
        "WTF_CSRF_SECRET_KEY": settings.secret_keys[::-1],
        "MAX_CONTENT_LENGTH": _MAX_REQUEST_BYTES,
        # The table of sessions says when one ends. A cookie lives a day longer, so that its owner is told why.
        "PERMANENT_SESSION_LIFETIME": timedelta(days=1, seconds=settings.session_lifetime_seconds),
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        # A CSRF token is valid as long as its session, because a page may stay open all day.
        "WTF_CSRF_TIME_LIMIT": None,
        # `public_url` checks the origin: this would compare the Referer with the Host that a proxy sends.
        "WTF_CSRF_SSL_STRICT": False,
        **sign_in_pages.security_config(password_salt),
    }


def init_app(app: Flask) -> None:
    """Checks access before CSRF tokens, so that an expired session leads to the sign-in page and not to an error."""
    # Of CSRF tokens: their library has no option for it, and SHA-1 is the default.
    Signer.default_digest_method = staticmethod(hashlib.sha256)
    _trust_proxies(app)
    languages.init_app(app)
    trusted_hosts.init_app(app)
    fetch_metadata.init_app(app)
    request_input.init_app(app)
    access.init_app(app)
    second_factor_gate.init_app(app)
    public_url.init_app(app)
    csrf.init_app(app)
    recent_sign_in.init_app(app)
    sign_in_pages.init_app(app)
    compression.init_app(app)
    security_headers.init_app(app)
    subresource_integrity.init_app(app)
    error_pages.init_app(app)
    template_filters.init_app(app)
    layout.init_app(app)
    help_links.init_app(app)
    register_pages(app)


def register_pages(app: Flask) -> None:
    for blueprint in _blueprints():
        app.register_blueprint(blueprint)
    access.require_access_rules(app)


@cache
def _blueprints() -> tuple[Blueprint, ...]:
    values = (value for module in _MODULES for value in vars(module).values() if isinstance(value, Blueprint))
    return tuple(dict.fromkeys(values))


def _trust_proxies(app: Flask) -> None:
    """Trust proxies for the caller's address only, which throttling and the ledger use."""
    if proxies := app.config["PORTAL"].trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
