"""Access rules: every view declares who may see it, and the app does not start if one does not."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.account_permissions import record_denial
from portal.accounts.rules.access_rules import reaches_role
from portal.accounts.rules.roles import ROLES
from portal.core.clock import now_ms
from portal.core.translation import gettext as _
from portal.web.authentication import browser_sessions
from portal.web.authentication.kept_forms import is_form_of_own_page, kept_form_page
from portal.web.public_url import is_own_origin
from portal.web.request_input import is_htmx_request, safe_redirect_target

View = TypeVar("View", bound=Callable[..., Any])
PUBLIC, NOBODY = "public", "nobody"
_LIBRARY_VIEW_ACCESS = {
    "static": PUBLIC,
    "security.static": NOBODY,
    "security.login": PUBLIC,
    "security.logout": PUBLIC,
    "security.forgot_password": PUBLIC,
    "security.reset_password": PUBLIC,
}
"""Views of Flask and Flask-Security, which cannot declare it themselves."""


class MissingAccessRule(RuntimeError):
    """A view does not declare who may see it."""


def allow(role: str) -> Callable[[View], View]:
    """Restrict a view to accounts with this role or a higher one."""
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r}")
    return lambda view: _set_access(role, view)


def public(view: View) -> View:
    """Open a view to everybody, signed in or not."""
    return _set_access(PUBLIC, view)


def init_app(app: Flask) -> None:
    app.before_request(_enforce_access)


def require_access_rules(app: Flask) -> None:
    """Raises `MissingAccessRule`, so that a forgotten declaration is found when the app starts."""
    undeclared = sorted({rule.endpoint for rule in app.url_map.iter_rules() if not _access_of(app, rule.endpoint)})
    if undeclared:
        raise MissingAccessRule(f"These views do not declare who may see them: {', '.join(undeclared)}.")


def is_open_to_everybody(endpoint: str) -> bool:
    return _access_of(current_app, endpoint) == PUBLIC


def has_role(role: str) -> bool:
    return bool(current_user.is_authenticated) and reaches_role(current_user.role, role)


def _set_access(access: str, view: View) -> View:
    view.portal_access = access  # type: ignore[attr-defined]
    return view


def _access_of(app: Flask, endpoint: str) -> str:
    return _LIBRARY_VIEW_ACCESS.get(endpoint) or str(getattr(app.view_functions[endpoint], "portal_access", ""))


def _enforce_access() -> ResponseReturnValue | None:
    if request.endpoint is None:
        return None  # becomes a 404
    access = _access_of(current_app, request.endpoint)
    if access == PUBLIC:
        return None
    if access != NOBODY and not current_user.is_authenticated:
        return _ask_to_sign_in()
    if access in ("", NOBODY):
        abort(404)
    if not has_role(access):
        record_denied_request()
        abort(404)
    return None


def _ask_to_sign_in() -> ResponseReturnValue:
    """A page that is open stays as it is, and a form comes back: what was typed is not lost."""
    reason, url = browser_sessions.forget_ended_session(), url_for("security.login", next=page_to_return_to())
    heading = _("You are signed out")
    if is_htmx_request():
        return notice_response(401, heading, reason or _("Sign in again to go on."), sign_in_url=url)
    if is_form_of_own_page():
        unsaved = _("Nothing was changed yet.")
        return kept_form_page(heading, f"{reason} {unsaved}" if reason else unsaved, url), 401
    if reason:
        flash(reason, "info")
    return redirect(url, 303)


def notice_response(code: int, heading: str, message: str, sign_in_url: str = "") -> Response:
    """For htmx: a notice above the page, which stays as it is."""
    context = {"heading": heading, "message": message, "sign_in_url": sign_in_url}
    response = make_response(current_app.jinja_env.get_template("errors/_notice.html").render(context), code)
    response.headers |= {"HX-Retarget": "#notice", "HX-Reswap": "innerHTML"}
    return response


def record_denied_request() -> None:
    """Who is signed in asked for what their role or the object does not allow."""
    if request.url_rule is not None and current_user.is_authenticated:
        record_denial(request.url_rule.rule, current_user.id, now_ms())


def page_to_return_to() -> str:
    """Where to go after signing in or choosing a language: this page, or that of the form or htmx request.

    Always a path of our own.
    """
    if request.method in ("GET", "HEAD") and not is_htmx_request():
        return request.full_path if request.query_string else request.path
    page = request.headers.get("HX-Current-URL") or request.referrer or ""
    return safe_redirect_target(urlsplit(page).path) if is_own_origin(page) else "/"
