"""The web app: pages for browsers, webhooks for Twilio."""

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
    error_pages,
    health_endpoints,
    layout,
    public_url,
    request_input,
    security_headers,
    template_filters,
)
from portal.web.account import history_pages, phone_number_pages, sign_in_pages, start_page, time_zone_page
from portal.web.admin import (
    account_pages,
    communication_pages,
    consent_import_pages,
    consent_pages,
    content_block_pages,
    number_overview_pages,
    reply_review_pages,
    send_pages,
    template_pages,
    unresolved_pages,
)
from portal.web.sysadmin import audit_log_pages, config_pages, harness_pages, harness_text_pages, queue_pages
from portal.web.webhooks import twilio_webhooks

_BLUEPRINTS = (
    start_page.pages,
    phone_number_pages.pages,
    history_pages.pages,
    account_pages.pages,
    template_pages.pages,
    unresolved_pages.pages,
    content_block_pages.pages,
    consent_pages.pages,
    number_overview_pages.pages,
    reply_review_pages.pages,
    consent_import_pages.pages,
    send_pages.pages,
    communication_pages.pages,
    config_pages.pages,
    harness_pages.pages,
    queue_pages.pages,
    audit_log_pages.pages,
    harness_text_pages.pages,
    time_zone_page.pages,
    layout.fragments,
    twilio_webhooks.blueprint,
    health_endpoints.blueprint,
)
_MAX_REQUEST_BYTES = 1024 * 1024


def flask_config(settings: Settings) -> dict[str, Any]:
    password_salt = hmac.new(settings.secret_key.encode(), b"password salt", hashlib.sha256).hexdigest()
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
        # A CSRF token is valid as long as its session, because a page may stay open all day.
        "WTF_CSRF_TIME_LIMIT": None,
        # `public_url` checks the origin: this would compare the Referer with the Host that a proxy sends.
        "WTF_CSRF_SSL_STRICT": False,
        **sign_in_pages.security_config(password_salt),
    }


def init_app(app: Flask) -> None:
    """Checks access before CSRF tokens, so that an expired session leads to the sign-in page and not to an error."""
    _trust_proxies(app)
    request_input.init_app(app)
    access.init_app(app)
    public_url.init_app(app)
    csrf.init_app(app)
    sign_in_pages.init_app(app)
    security_headers.init_app(app)
    error_pages.init_app(app)
    template_filters.init_app(app)
    layout.init_app(app)
    for blueprint in _BLUEPRINTS:
        app.register_blueprint(blueprint)
    access.require_access_rules(app)


def _trust_proxies(app: Flask) -> None:
    """Trust proxies for the caller's address only, which throttling and the ledger use."""
    if proxies := app.config["PORTAL"].trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
