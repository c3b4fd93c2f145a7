"""When something is not right: a page in plain words, or for htmx a notice that leaves the page as it is."""

from dataclasses import dataclass
from typing import Any

import structlog
from flask import Flask, Response, current_app, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from portal.core.context import settings
from portal.core.errors import ActionRefused, Busy
from portal.core.extensions import db
from portal.web.public_url import CrossOriginRequest
from portal.web.request_input import is_htmx_request

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ErrorPage:
    heading: str
    message: str


_ERROR_PAGES = {
    400: ErrorPage("That request made no sense", "Go back, reload the page and try again."),
    404: ErrorPage(
        "There is no such page", "The address may be mistyped, or the page may belong to somebody else's account."
    ),
    405: ErrorPage("That does not work here", "Go back and use the buttons on the page."),
    413: ErrorPage("That is too much at once", "Send at most 1 MB."),
    500: ErrorPage(
        "Something went wrong on our side", "It has been noted. Nothing you sent before is lost; try again in a minute."
    ),
}
_SESSION_EXPIRED = ErrorPage(
    "This page was open too long", "You were signed out or signed in again meanwhile. Go back, reload and try again."
)


def init_app(app: Flask) -> None:
    app.log_exception = _log_exception  # type: ignore[method-assign]
    app.register_error_handler(CrossOriginRequest, lambda _error: _error_response(400, _foreign_origin_page()))
    app.register_error_handler(CSRFError, lambda _error: _error_response(400, _SESSION_EXPIRED))
    app.register_error_handler(Busy, _handle_busy)
    app.register_error_handler(ActionRefused, _handle_refused)
    app.register_error_handler(HTTPException, _handle_http_error)
    app.register_error_handler(InternalServerError, _handle_server_error)


def _foreign_origin_page() -> ErrorPage:
    return ErrorPage(
        "This form came from another address",
        f"Nothing was changed. Open the portal at {settings().public_url} and try again there. If your browser shows a "
        "different address for it, the operator must set PORTAL_PUBLIC_URL to that one, with https:// and the port if "
        "there is one.",
    )


def _log_exception(exc_info: Any) -> None:
    """Flask's own line would carry the address, and with it link tokens."""
    _log.error("unhandled exception in a request", exc_info=exc_info)


def _handle_refused(error: ActionRefused) -> Response:
    return _error_response(409, ErrorPage("That was not done", error.message))


def _handle_busy(error: Busy) -> Response:
    response = _error_response(503, ErrorPage("Too much at once", error.message))
    response.headers["Retry-After"] = "5"
    return response


def _handle_http_error(error: HTTPException) -> Response | HTTPException:
    code = error.code or 500
    if code < 400:
        return error
    if code == 429:
        return _error_response(code, ErrorPage("Too many tries", error.description or "Try again later."))
    return _error_response(code, _ERROR_PAGES.get(code) or ErrorPage(f"{error.name}", "Go back and try again."))


def _handle_server_error(error: InternalServerError) -> Response:
    rule = request.url_rule.rule if request.url_rule else "no page"
    _log.error("a request failed", page=rule, error=type(error.original_exception or error).__name__)
    db.session.rollback()
    return _error_response(500, _ERROR_PAGES[500])


def _error_response(code: int, error: ErrorPage) -> Response:
    """To htmx a notice above the page: what was polling or being typed in stays, and tries again."""
    if is_htmx_request():
        response = make_response(current_app.jinja_env.get_template("errors/_notice.html").render(error=error), code)
        response.headers |= {"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"}
        return response
    if code >= 500:
        # Past the context of other pages, which asks the database who is signed in: that may be what broke.
        return make_response(current_app.jinja_env.get_template("errors/broken.html").render(error=error), code)
    return make_response(render_template("errors/page.html", error=error), code)
