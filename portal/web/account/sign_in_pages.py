"""Sign in and out, and reset a forgotten password, with Flask-Security-Too.

The sign-in name is an email address or an account number, because several accounts may share one email.
"""

from datetime import timedelta
from typing import Any

from flask import (
    Blueprint,
    Flask,
    abort,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_security import SQLAlchemyUserDatastore
from flask_security.recoverable import reset_password_token_status
from wtforms import PasswordField
from wtforms.validators import DataRequired, EqualTo

from portal.accounts import password_reset
from portal.accounts.password_hashing import LimitedPasswordContext
from portal.accounts.passwords import password_rule_problem, reset_password_by_link
from portal.accounts.rules.password_strength import MIN_PASSWORD_LENGTH
from portal.accounts.tables.accounts import Account, Role
from portal.content.content_blocks import render_block
from portal.content.rules.content_block_checks import SIGN_IN_NOTICE
from portal.core.clock import now_ms
from portal.core.context import environment_settings
from portal.core.extensions import db, security
from portal.core.rules.integrity.signed_values import timed_serializer
from portal.core.translation import N_, current_language, lazy_gettext
from portal.core.translation import gettext as _
from portal.web.access import public
from portal.web.account import sign_in_signals
from portal.web.account.account_emails import (
    PASSWORD_CHANGED,
    public_address,
    recipient_of,
    run_after_response,
    send_account_email,
)
from portal.web.account.sign_in_form import NameForm, choose_account, sign_in, wait_message
from portal.web.authentication import browser_sessions
from portal.web.authentication.password_refusal import needs_password_sign_in
from portal.web.base_form import PortalForm

account_choice_pages = Blueprint("sign_in_choice", __name__)
account_choice_pages.add_url_rule("/SignIn/Account", "choose", public(choose_account), methods=["GET", "POST"])

_RESET_LINK_LIFETIME = timedelta(hours=1)  # which the email says too
_MAX_FIELD_LENGTH = 512


class NewPasswordForm(PortalForm):
    password = PasswordField(lazy_gettext("New password"), [DataRequired(lazy_gettext("Enter a new password."))])
    password_confirm = PasswordField(
        lazy_gettext("Confirm new password"),
        [
            DataRequired(lazy_gettext("Enter the new password again.")),
            EqualTo("password", lazy_gettext("The two passwords do not match.")),
        ],
    )


@needs_password_sign_in
def forgot_password() -> ResponseReturnValue:
    """The response and its timing are the same for every name: accounts are looked up after it is sent."""
    form = NameForm()
    if form.validate_on_submit():
        if wait_ms := password_reset.reset_wait_ms(request.remote_addr or "", now_ms()):
            abort(429, description=wait_message(wait_ms))
        name = form.email.data
        run_after_response(lambda: _send_reset_links(name))
        flash(_("If this account exists, we have sent a link to its email address."))
    return render_template("security/forgot_password.html", forgot_password_form=form)


@needs_password_sign_in
def reset_password(token: str) -> ResponseReturnValue:
    expired, invalid, account = reset_password_token_status(token)
    if expired or invalid or account is None or not account.active:
        return _redirect_to_forgot_password(is_expired=bool(expired))
    form = NewPasswordForm()
    if form.validate_on_submit():
        owner = (account.name, account.email, account.external_id)
        problem = password_rule_problem(form.password.data, *owner)
        if problem is None:
            return _apply_new_password(account, form.password.data)
        form.password.errors = [problem]
    return render_template(
        "security/reset_password.html",
        reset_password_form=form,
        reset_password_token=token,
        min_length=MIN_PASSWORD_LENGTH,
    )


def _apply_new_password(account: Account, password: str) -> ResponseReturnValue:
    account_id, recipient, details = account.id, recipient_of(account), _account_details(account)
    if not reset_password_by_link(account_id, account.fs_uniquifier, password, now_ms()):
        return _redirect_to_forgot_password()
    run_after_response(lambda: send_account_email("reset_notice", recipient, PASSWORD_CHANGED, **details))
    flash(_("Your password was changed. Sign in with the new one."))
    return redirect(url_for("security.login"))


def _redirect_to_forgot_password(is_expired: bool = False) -> ResponseReturnValue:
    expired, used = _("This link has expired. Request a new one."), _("This link no longer works. Request a new one.")
    flash(expired if is_expired else used, "error")
    return redirect(url_for("security.forgot_password"))


def _send_reset_links(name: str) -> None:
    """One email, with a link for each account."""
    accounts = password_reset.accounts_to_reset(name, now_ms())
    if not accounts:
        return
    details = [{**_account_details(account), "link": _reset_url(account)} for account in accounts]
    send_account_email("reset_instructions", recipient_of(accounts[0]), N_("Choose a new password"), accounts=details)


def _reset_url(account: Account) -> str:
    return public_address("security.reset_password", token=password_reset.reset_token(account))


def _account_details(account: Account) -> dict[str, str]:
    return {"name": account.name, "external_id": account.external_id, "type": account.account_type}


def security_config(salt: str) -> dict[str, Any]:
    options = {
        "LOGIN_URL": "/SignIn",
        "LOGOUT_URL": "/SignOut",
        "RESET_URL": "/ForgotPassword",
        "POST_LOGOUT_VIEW": "/SignIn",
        "RECOVERABLE": True,
        "RESET_PASSWORD_WITHIN": _RESET_LINK_LIFETIME,
        "PASSWORD_SINGLE_HASH": {"argon2"},
        "PASSWORD_SCHEMES": ["argon2"],
        "DEPRECATED_PASSWORD_SCHEMES": [],
        "HASHING_SCHEMES": ["argon2"],
        "PASSWORD_LENGTH_MIN": MIN_PASSWORD_LENGTH,
        "PASSWORD_SALT": salt,
        "API_ENABLED_METHODS": ["session"],
        "FRESHNESS": timedelta(minutes=-1),
        "JOIN_USER_ROLES": False,
        "MSG_UNAUTHENTICATED": (lazy_gettext("Sign in to see this page."), "info"),
    }
    return {f"SECURITY_{name}": value for name, value in options.items()}


def init_app(app: Flask) -> None:
    security.init_app(app, SQLAlchemyUserDatastore(db, Account, Role))
    # Flask-Security's own would sign with SHA-1, and verify nothing with older keys.
    security.reset_serializer = timed_serializer(environment_settings(app).secret_keys, "reset password")
    # Flask-Principal would find out in every request who calls, for decorators of Flask-Security that we do not use.
    hooks = app.before_request_funcs[None]
    hooks[:] = [hook for hook in hooks if not isinstance(getattr(hook, "__self__", None), type(security.principal))]
    security.pwd_context = LimitedPasswordContext(security.pwd_context)
    security.hashing_context = LimitedPasswordContext(security.hashing_context)
    app.view_functions |= {
        "security.login": sign_in,
        "security.forgot_password": forgot_password,
        "security.reset_password": reset_password,
    }
    # Flask-Security would accept a bearer token as a session; we issue none and accept none.
    app.login_manager.request_loader(lambda _request: None)  # type: ignore[attr-defined]
    app.before_request(_reject_oversized_forms)
    sign_in_signals.init_app(app)
    browser_sessions.init_app(app)
    app.context_processor(lambda: {"sign_in_notice": _sign_in_notice})


def _sign_in_notice() -> str:
    """As Markdown; usually empty."""
    return render_block(SIGN_IN_NOTICE, language=current_language().code).markdown


def _reject_oversized_forms() -> None:
    """Reject JSON, and values that would be costly to hash or to display again."""
    if request.method != "POST" or not (request.endpoint or "").startswith("security."):
        return
    if request.is_json or "include_auth_token" in request.args:
        abort(400)
    # Not by a form class: a field that no form of ours declares must not be read either.
    if any(len(value) > _MAX_FIELD_LENGTH for name, value in request.form.items() if name != "csrf_token"):
        abort(413)
