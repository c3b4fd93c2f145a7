"""The front door for browsers and for Twilio: blueprints by area, and what every page has in common."""

import hashlib
import hmac
from datetime import timedelta
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from portal.core.config import Settings
from portal.core.extensions import csrf, engine_options
from portal.web import (
    access,
    admin_accounts,
    admin_communications,
    admin_consent,
    admin_content,
    admin_imports,
    admin_numbers,
    admin_replies,
    admin_sends,
    admin_templates,
    admin_unknowns,
    display,
    errors,
    headers,
    health,
    home,
    hooks,
    layout,
    my_history,
    my_numbers,
    parsing,
    public_address,
    sign_in,
    sysadmin_audit,
    sysadmin_config,
    sysadmin_harness,
    sysadmin_queues,
    sysadmin_texts,
    time_zones,
)

_BLUEPRINTS = (
    home.pages,
    my_numbers.pages,
    my_history.pages,
    admin_accounts.pages,
    admin_templates.pages,
    admin_unknowns.pages,
    admin_content.pages,
    admin_consent.pages,
    admin_numbers.pages,
    admin_replies.pages,
    admin_imports.pages,
    admin_sends.pages,
    admin_communications.pages,
    sysadmin_config.pages,
    sysadmin_harness.pages,
    sysadmin_queues.pages,
    sysadmin_audit.pages,
    sysadmin_texts.pages,
    time_zones.pages,
    layout.fragments,
    hooks.blueprint,
    health.blueprint,
)
_MAX_REQUEST_BYTES = 1024 * 1024


def flask_config(settings: Settings) -> dict[str, Any]:
    """Our settings as Flask and its extensions spell them."""
    return {
        "PORTAL": settings,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings.database_url),
        "SECRET_KEY": settings.secret_key,
        "MAX_CONTENT_LENGTH": _MAX_REQUEST_BYTES,
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=12),
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        # A token is as good as the session it belongs to: a page may stay open all day.
        "WTF_CSRF_TIME_LIMIT": None,
        # It would compare the Referer with the Host that a proxy passes on; `public_address` checks the origin.
        "WTF_CSRF_SSL_STRICT": False,
        **sign_in.security_config(_derive_secret(settings, "password salt")),
    }


def init_app(app: Flask) -> None:
    """The guard comes before the CSRF check: a lost session is answered with the sign-in page, not a refusal."""
    _trust_proxies(app)
    parsing.init_app(app)
    access.init_app(app)
    public_address.init_app(app)
    csrf.init_app(app)
    sign_in.init_app(app)
    headers.init_app(app)
    errors.init_app(app)
    display.init_app(app)
    layout.init_app(app)
    for blueprint in _BLUEPRINTS:
        app.register_blueprint(blueprint)
    access.require_access_rules(app)


def _trust_proxies(app: Flask) -> None:
    """The caller's address, for limits and the ledger, comes from our proxies; nothing else of theirs is believed."""
    proxies = app.config["PORTAL"].trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]


def _derive_secret(settings: Settings, purpose: str) -> str:
    return hmac.new(settings.secret_key.encode(), purpose.encode(), hashlib.sha256).hexdigest()
