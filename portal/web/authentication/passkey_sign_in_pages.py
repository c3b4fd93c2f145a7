"""Sign in with a passkey: instead of a password, or after it."""

import structlog
from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField

from portal.authentication.passkey_ceremonies import PasskeyRefused, authentication_options, use_passkey
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.web.access import public
from portal.web.account.sign_in_form import start_session
from portal.web.authentication.passkey_challenges import SIGN_IN, current_site, new_challenge, take_challenge
from portal.web.authentication.second_step import PendingSignIn, other_steps, pending_sign_in
from portal.web.authentication.second_step_pages import SecondStepForm, complete_second_step, record_wrong_factor
from portal.web.request_input import safe_redirect_target

pages = Blueprint("passkey_sign_in", __name__)
_log = structlog.get_logger(__name__)


class PasskeyForm(SecondStepForm):
    answer = HiddenField()
    next = HiddenField()


@pages.route("/SignIn/Passkey", methods=["GET", "POST"])
@public
def sign_in() -> ResponseReturnValue:
    """A passkey is both factors, so it signs in whether a password was entered before or not.

    Where everybody signs in by single sign-on, it is only what follows: the provider decides who still gets in.
    """
    form, site, pending = PasskeyForm(), current_site() or abort(404), pending_sign_in()
    if not (pending or settings().password_sign_in):
        return redirect(url_for("security.login"), 303)
    target = pending.target if pending else safe_redirect_target(form.next.data or request.args.get("next", ""))
    if current_user.is_authenticated:
        return redirect(target)
    if form.validate_on_submit():
        try:
            own_id = pending.account.id if pending and not settings().password_sign_in else 0
            account_id = use_passkey(form.answer.data, take_challenge(SIGN_IN), site, now_ms(), own_id)
            return _signed_in(account_id, pending, target, form.trusts_device.data)
        except PasskeyRefused as refusal:
            _log.warning("passkey refused", reason=refusal.reason)
            form.form_errors.append(refusal.message)
            if pending:
                record_wrong_factor(pending)
    form.next.data = target
    return _page(form, pending)


def _signed_in(account_id: int, pending: PendingSignIn | None, target: str, trusts_device: bool) -> ResponseReturnValue:
    if pending and pending.account.id == account_id:
        return complete_second_step(pending, trusts_device, "passkey")
    return start_session(account_id, target, ["passkey"])


def _page(form: PasskeyForm, pending: PendingSignIn | None) -> ResponseReturnValue:
    site, account_id = current_site() or abort(404), pending.account.id if pending else None
    page = render_template(
        "authentication/passkey_step.html",
        form=form,
        options=authentication_options(account_id, site, new_challenge(SIGN_IN)),
        is_second_step=pending is not None,
        others=other_steps(account_id) if account_id else {},
        days=settings().trusted_device_days if pending else 0,
    )
    return page, 422 if form.form_errors else 200
