"""When something is not right: a page in plain words, or for htmx a notice that leaves the page as it is."""

from dataclasses import dataclass
from typing import Any

import structlog
from flask import Flask, Response, current_app, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from portal.actions.errors import Busy, Refused
from portal.context import settings
from portal.extensions import db
from portal.web.parsing import by_htmx
from portal.web.public_address import ForeignOrigin

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Fault:
    heading: str
    words: str


_FAULTS = {
    400: Fault("That request made no sense", "Go back, reload the page and try again."),
    404: Fault(
        "There is no such page", "The address may be mistyped, or the page may belong to somebody else's account."
    ),
    405: Fault("That does not work here", "Go back and use the buttons on the page."),
    413: Fault("That is too much at once", "Send at most 1 MB."),
    500: Fault(
        "Something went wrong on our side", "It has been noted. Nothing you sent before is lost; try again in a minute."
    ),
}
_EXPIRED = Fault(
    "This page was open too long", "You were signed out or signed in again meanwhile. Go back, reload and try again."
)


def init_app(app: Flask) -> None:
    app.log_exception = _note_exception  # type: ignore[method-assign]
    app.register_error_handler(ForeignOrigin, lambda _error: _answer(400, _elsewhere()))
    app.register_error_handler(CSRFError, lambda _error: _answer(400, _EXPIRED))
    app.register_error_handler(Busy, _busy)
    app.register_error_handler(Refused, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(InternalServerError, _broken)


def _elsewhere() -> Fault:
    return Fault(
        "This form came from another address",
        f"Nothing was changed. Open the portal at {settings().public_url} and try again there. If your browser shows a "
        "different address for it, the operator must set PORTAL_PUBLIC_URL to that one, with https:// and the port if "
        "there is one.",
    )


def _note_exception(exc_info: Any) -> None:
    """Flask's own line would carry the address, and with it link tokens."""
    _log.error("an exception reached the door", exc_info=exc_info)


def _refused(error: Refused) -> Response:
    return _answer(409, Fault("That was not done", error.sentence))


def _busy(error: Busy) -> Response:
    response = _answer(503, Fault("Too much at once", error.sentence))
    response.headers["Retry-After"] = "5"
    return response


def _http(error: HTTPException) -> Response | HTTPException:
    code = error.code or 500
    if code < 400:
        return error
    if code == 429:
        return _answer(code, Fault("Too many tries", error.description or "Try again later."))
    return _answer(code, _FAULTS.get(code) or Fault(f"{error.name}", "Go back and try again."))


def _broken(error: InternalServerError) -> Response:
    rule = request.url_rule.rule if request.url_rule else "no page"
    _log.error("a request failed", page=rule, error=type(error.original_exception or error).__name__)
    db.session.rollback()
    return _answer(500, _FAULTS[500])


def _answer(code: int, fault: Fault) -> Response:
    """To htmx a notice above the page: what was polling or being typed in stays, and tries again."""
    if by_htmx():
        response = make_response(current_app.jinja_env.get_template("errors/_notice.html").render(fault=fault), code)
        response.headers |= {"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"}
        return response
    if code >= 500:
        # Past the context of other pages, which asks the database who is signed in: that may be what broke.
        return make_response(current_app.jinja_env.get_template("errors/broken.html").render(fault=fault), code)
    return make_response(render_template("errors/page.html", fault=fault), code)
