"""Whoever must have a second factor and has none reaches only the pages that set one up."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user, user_authenticated

from portal.authentication.second_factors import has_second_factor, needs_second_factor
from portal.web.access import is_open_to_everybody, page_to_return_to
from portal.web.request_input import is_htmx_request, safe_redirect_target

View = TypeVar("View", bound=Callable[..., Any])
_TARGET_KEY = "page_before_set_up"
_SESSION_KEY = "has_second_factor"
"""Of who is signed in, until the next sign-in: so that not every page asks the database."""


def open_without_second_factor(view: View) -> View:
    view.is_open_without_second_factor = True  # type: ignore[attr-defined]
    return view


def must_set_up_second_factor() -> bool:
    if not current_user.is_authenticated or not needs_second_factor(current_user.role):
        return False
    if session.get(_SESSION_KEY):
        return False
    if not has_second_factor(current_user.id):
        return True
    remember_second_factor()
    return False


def page_before_set_up() -> str:
    """Where the person wanted to go."""
    return safe_redirect_target(session.pop(_TARGET_KEY, "/"))


def remember_second_factor() -> None:
    """Whoever signed in just now has one, here or at the provider of the single sign-on."""
    session[_SESSION_KEY] = True


def forget_second_factor() -> None:
    """After it was removed: look again."""
    session.pop(_SESSION_KEY, None)


def init_app(app: Flask) -> None:
    """After the check of roles."""
    app.before_request(_lead_to_set_up)
    user_authenticated.connect(_look_again, app)


def _look_again(_app: Flask, **_details: Any) -> None:
    """The second factor of an earlier sign-in with this browser may have been that of the provider."""
    forget_second_factor()


def _lead_to_set_up() -> ResponseReturnValue | None:
    endpoint = request.endpoint
    if endpoint is None or is_open_to_everybody(endpoint) or not must_set_up_second_factor():
        return None
    if getattr(current_app.view_functions[endpoint], "is_open_without_second_factor", False):
        return None
    session[_TARGET_KEY] = page_to_return_to()
    url = url_for("my_security.totp_form")
    return Response(status=401, headers={"HX-Redirect": url}) if is_htmx_request() else redirect(url, 303)
