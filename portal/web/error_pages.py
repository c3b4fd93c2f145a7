"""Error pages, for htmx a notice above the page, and what the next page says about a change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Flask, Response, current_app, flash, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from portal.accounts.account_permissions import NotPermitted
from portal.core.context import settings
from portal.core.errors import ActionRefused, Busy
from portal.core.extensions import db
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.web.access import notice_response, record_denied_request
from portal.web.authentication.kept_forms import is_form_of_own_page, kept_form_page
from portal.web.browser_defences.fetch_metadata import ForeignSubresource
from portal.web.browser_defences.trusted_hosts import UntrustedHost
from portal.web.organisation_files import error_page_context
from portal.web.public_url import CrossOriginRequest
from portal.web.request_input import is_htmx_request

_log = structlog.get_logger(__name__)


_ERROR_PAGES = {
    400: (N_("There is a problem with this request"), N_("Go back, reload the page and try again.")),
    404: (
        N_("Page not found"),
        N_("The address may be mistyped, or the page may belong to somebody else’s account."),
    ),
    405: (N_("This does not work here"), N_("Go back and use the buttons on the page.")),
    413: (N_("The request is too large"), N_("Send at most 1 MB.")),
    500: (
        N_("Something went wrong on our side"),
        N_("The error is logged. Nothing you sent before is lost. Try again in a minute."),
    ),
}
"""Heading and message by status code."""


def init_app(app: Flask) -> None:
    app.log_exception = _log_exception  # type: ignore[method-assign]
    app.register_error_handler(CrossOriginRequest, _handle_cross_origin)
    app.register_error_handler(CSRFError, _handle_old_token)
    app.register_error_handler(UntrustedHost, _handle_untrusted_host)
    app.register_error_handler(ForeignSubresource, _handle_foreign_subresource)
    app.register_error_handler(Busy, _handle_busy)
    app.register_error_handler(
        ActionRefused, lambda error: _error_response(409, _("This action was not completed"), error.message)
    )
    app.register_error_handler(NotPermitted, _handle_not_permitted)
    app.register_error_handler(HTTPException, _handle_http_error)
    app.register_error_handler(InternalServerError, _handle_server_error)


@contextmanager
def flash_outcome(message: str = "") -> Iterator[None]:
    """The next page says that the change in the block was made, or why it was refused."""
    try:
        yield
        if message:
            flash(message, "info")
    except ActionRefused as error:
        flash(error.message, "error")


def _log_exception(exc_info: Any) -> None:
    """Flask's own log line would contain the URL, and with it link tokens."""
    _log.error("unhandled exception in a request", exc_info=exc_info)


def _handle_old_token(_error: CSRFError) -> Response:
    """The token is that of the session, which a new sign-in replaces."""
    heading, happened = _("This page was open too long"), _("You signed out or signed in again in the meantime.")
    if is_htmx_request() or not is_form_of_own_page():
        advice = _("Send the form, and you are asked once more.")
        return _error_response(400, heading, f"{happened} {advice}")
    question = _("Nothing was changed yet. If you still want this, send it again.")
    return make_response(kept_form_page(heading, f"{happened} {question}"), 400)


def _handle_cross_origin(_error: CrossOriginRequest) -> Response:
    message = _(
        "Nothing was changed. Open the portal at %(address)s and try again. If your browser shows a different address "
        "for it, the operator must set PORTAL_PUBLIC_URL to that address, with https:// and the port if there is one.",
        address=settings().public_url,
    )
    return _error_response(400, _("This form came from another address"), message)


def _handle_untrusted_host(_error: UntrustedHost) -> Response:
    message = _(
        "Open the portal at %(address)s. If a proxy calls it by another name, the operator must add that name to "
        "PORTAL_TRUSTED_HOSTS.",
        address=settings().public_url,
    )
    return _plain_error_response(400, _("This is not the address of the portal"), message)


def _handle_foreign_subresource(_error: ForeignSubresource) -> Response:
    message = _(
        "Another website tried to load this page as a part of its own. Open the portal itself at %(address)s.",
        address=settings().public_url,
    )
    return _plain_error_response(400, _("This page cannot be shown inside another website"), message)


def _handle_busy(error: Busy) -> Response:
    response = _error_response(503, _("The portal is busy"), error.message)
    response.headers["Retry-After"] = "5"
    return response


def _handle_not_permitted(error: NotPermitted) -> Response:
    record_denied_request()
    return _error_response(403, _("You cannot do this"), error.message)


def _handle_http_error(error: HTTPException) -> Response | HTTPException:
    code = error.code or 500
    if code < 400:
        return error
    if code == 429:
        return _error_response(code, _("Too many attempts"), error.description or _("Try again later."))
    return (
        _known_error(code) if code in _ERROR_PAGES else _error_response(code, error.name, _("Go back and try again."))
    )


def _handle_server_error(error: InternalServerError) -> Response:
    route = request.url_rule.rule if request.url_rule else ""
    _log.error("request failed", route=route, error=type(error.original_exception or error).__name__)
    db.session.rollback()
    return _known_error(500)


def _known_error(code: int) -> Response:
    heading, message = _ERROR_PAGES[code]
    return _error_response(code, _(heading), _(message))


def _error_response(code: int, heading: str, message: str) -> Response:
    context = {"heading": heading, "message": message}
    if is_htmx_request():
        return notice_response(code, heading, message)
    if code >= 500:
        return _plain_error_response(code, heading, message)
    return make_response(render_template("errors/page.html", **context), code)


def _plain_error_response(code: int, heading: str, message: str) -> Response:
    """Without the context of other pages, which reads the account from the database: that may be what failed."""
    context = {"heading": heading, "message": message}
    page = current_app.jinja_env.get_template("errors/broken.html").render(context | error_page_context())
    return make_response(page, code)
