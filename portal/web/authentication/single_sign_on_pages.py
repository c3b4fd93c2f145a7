"""Sign in by OpenID Connect: the way to the provider, and the way back."""

from dataclasses import asdict

import structlog
from flask import Blueprint, abort, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.authentication.identity_connections import SignOnRefused
from portal.authentication.single_sign_on import SignOnAttempt, begin_sign_on, finish_sign_on
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules.oidc_settings import SingleSignOn
from portal.web.access import public
from portal.web.account.account_emails import public_address
from portal.web.account.sign_in_form import continue_sign_in, start_session
from portal.web.authentication.second_factor_gate import remember_second_factor
from portal.web.request_input import safe_redirect_target

pages = Blueprint("single_sign_on", __name__, url_prefix="/SignIn/SingleSignOn")
_ATTEMPT_KEY, _TARGET_KEY = "single_sign_on", "single_sign_on_target"
_ANSWER_FIELDS, _MAX_ANSWER_LENGTH = ("state", "code", "iss", "error"), 4_000
_log = structlog.get_logger(__name__)


@pages.get("")
@public
def start() -> ResponseReturnValue:
    """A link, because browsers let no form lead to another host under our content security policy."""
    config, target = _config(), safe_redirect_target(request.args.get("next", ""))
    if current_user.is_authenticated:
        return redirect(target)
    try:
        url, attempt = begin_sign_on(config, _callback_url(), now_ms())
    except SignOnRefused as refusal:
        return _refused(config, refusal, target)
    session[_ATTEMPT_KEY], session[_TARGET_KEY] = asdict(attempt), target
    return redirect(url, 303)


@pages.get("/Callback")
@public
def callback() -> ResponseReturnValue:
    """The attempt leaves the session at once, so that an answer counts once."""
    config, kept = _config(), session.pop(_ATTEMPT_KEY, None)
    target = safe_redirect_target(session.pop(_TARGET_KEY, ""))
    answer = {name: request.args[name][:_MAX_ANSWER_LENGTH] for name in _ANSWER_FIELDS if name in request.args}
    try:
        signed_on = finish_sign_on(config, SignOnAttempt(**kept) if kept else None, answer, _callback_url(), now_ms())
    except SignOnRefused as refusal:
        return _refused(config, refusal, target)
    if not signed_on.has_second_factor:
        return continue_sign_in(signed_on.account_id, target, "single_sign_on")
    response = start_session(signed_on.account_id, target, ["single_sign_on"])
    remember_second_factor()
    return response


def _config() -> SingleSignOn:
    return settings().single_sign_on or abort(404)


def _callback_url() -> str:
    return public_address("single_sign_on.callback")


def _refused(config: SingleSignOn, refusal: SignOnRefused, target: str) -> ResponseReturnValue:
    _log.warning("single sign-on refused", reason=refusal.reason)
    page = render_template(
        "security/single_sign_on_refused.html",
        message=refusal.message,
        name=config.name,
        target=target,
        passwords=settings().password_sign_in,
    )
    return page, 403
