"""Signing in and out, and forgotten passwords: Flask-Security-Too in our words and our look.

The sign-in name is an email address or an account number, since several accounts may share one email.
"""

from datetime import timedelta
from email.utils import make_msgid
from threading import BoundedSemaphore
from typing import Any

import structlog
from flask import Flask, Response, abort, after_this_request, request, session, url_for
from flask_login import user_logged_in, user_logged_out
from flask_security import ForgotPasswordForm, LoginForm, MailUtil, SQLAlchemyUserDatastore, hash_password
from wtforms import StringField
from wtforms.validators import DataRequired

from portal.actions import throttle
from portal.actions.accounts import end_sessions
from portal.actions.content import words_of
from portal.clock import now_ms
from portal.context import settings
from portal.domain.mail_message import Mail
from portal.domain.wording import SIGN_IN_NOTICE
from portal.extensions import db, security
from portal.gateways.smtp import host_of, send_one
from portal.models.account import Account, Role, by_sign_in_name

_NAME_LABEL = "Email or account number"
_RESET_WITHIN = timedelta(hours=2)
_HASHING = BoundedSemaphore(2)
"""Argon2 takes 64 MB and a tenth of a second each: more at once would stall every page of this process."""
_LONGEST_FIELD = 512
_log = structlog.get_logger(__name__)


class NameField(StringField):  # type: ignore[misc]
    """A sign-in name without what no database can look for."""

    def process_formdata(self, values: list[str]) -> None:
        super().process_formdata([value.replace("\x00", "").strip() for value in values])


class SignInForm(LoginForm):  # type: ignore[misc]
    remember = None  # a session ends with the browser
    email = NameField(_NAME_LABEL, validators=[DataRequired("Enter your email or account number.")])

    def validate(self, **kwargs: Any) -> bool:
        self.ifield = self.email
        self.user = by_sign_in_name(self.email.data or "")
        with _HASHING:
            return bool(super().validate(**kwargs))


class ForgottenForm(ForgotPasswordForm):  # type: ignore[misc]
    email = NameField(_NAME_LABEL, validators=[DataRequired("Enter your email or account number.")])

    def validate(self, **kwargs: Any) -> bool:
        self.user = by_sign_in_name(self.email.data or "")
        if self.user is not None and self.user.password is None:
            hash_password("as long as it takes for an account that has a password")
        if self.user is None or not _may_have_mail(self.user.id):
            self.email.errors = ["No mail for this name now."]  # never shown: the answer is the same for everybody
            return False
        return bool(super().validate(**kwargs))


def _may_have_mail(account_id: int) -> bool:
    """One mail in a few minutes for each account: the form must not fill anybody's mailbox."""
    keys = throttle.reset_keys(account_id)
    if throttle.wait_ms(keys, now_ms()):
        return False
    throttle.note(keys, now_ms())
    return True


class PortalMail(MailUtil):  # type: ignore[misc]
    """Mail about an account leaves after the answer: the page takes as long whether the account exists or not."""

    def send_mail(
        self,
        template: str,
        subject: str,
        recipient: str,
        sender: str,  # noqa: ARG002  ours is the one of the settings
        body: str | None,
        html: str | None,
        **kwargs: Any,
    ) -> None:
        found = settings()
        message_id = make_msgid(domain=host_of(found.mail_from))
        mail = Mail(str(recipient), kwargs["user"].name, str(subject), body or "", html or "", message_id)

        def send() -> None:
            outcome = send_one(found.smtp_url, found.mail_from, mail)
            _log.info("mail about an account", template=template, outcome=type(outcome).__name__)

        @after_this_request
        def afterwards(response: Response) -> Response:
            response.call_on_close(send)
            return response


def security_config(salt: str) -> dict[str, Any]:
    plain = {
        "LOGIN_URL": "/SignIn",
        "LOGOUT_URL": "/SignOut",
        "RESET_URL": "/ForgotPassword",
        "LOGOUT_METHODS": ["POST"],
        "POST_LOGIN_VIEW": "/",
        "POST_LOGOUT_VIEW": "/SignIn",
        "POST_RESET_VIEW": "/SignIn",
        "RECOVERABLE": True,
        "RESET_PASSWORD_WITHIN": _RESET_WITHIN,
        "RETURN_GENERIC_RESPONSES": True,
        "PASSWORD_HASH": "argon2",
        "PASSWORD_SINGLE_HASH": {"argon2"},
        "PASSWORD_SCHEMES": ["argon2"],
        "DEPRECATED_PASSWORD_SCHEMES": [],
        "HASHING_SCHEMES": ["argon2"],
        "PASSWORD_LENGTH_MIN": 12,
        "PASSWORD_SALT": salt,
        "API_ENABLED_METHODS": ["session"],
        "FRESHNESS": timedelta(minutes=-1),
        "JOIN_USER_ROLES": False,
        "EMAIL_SUBJECT_PASSWORD_RESET": "Choose a new password",
        "EMAIL_SUBJECT_PASSWORD_NOTICE": "Your password was changed",
        "MSG_GENERIC_AUTHN_FAILED": (
            "This name and password do not go together. If several accounts share your email, use the account number.",
            "error",
        ),
        "MSG_PASSWORD_RESET_REQUEST": (
            "If there is an account with this name, a link to choose a new password is on its way to its email.",
            "info",
        ),
        "MSG_PASSWORD_RESET_NO_LOGIN": ("Your password is changed. Sign in with the new one.", "info"),
        "MSG_PASSWORD_RESET_EXPIRED": ("This link has expired. Ask for a new one.", "error"),
        "MSG_INVALID_RESET_PASSWORD_TOKEN": ("This link does not work any more. Ask for a new one.", "error"),
        "MSG_RETYPE_PASSWORD_MISMATCH": ("The two passwords differ.", "error"),
        "MSG_PASSWORD_NOT_PROVIDED": ("Enter your password.", "error"),
        "MSG_UNAUTHENTICATED": ("Sign in to see this page.", "info"),
    }
    return {f"SECURITY_{name}": value for name, value in plain.items()}


def init_app(app: Flask) -> None:
    security._mail_util_cls = PortalMail  # taken by the constructor only, and `extensions` knows nothing of the web
    security.init_app(
        app,
        SQLAlchemyUserDatastore(db, Account, Role),
        login_form=SignInForm,
        forgot_password_form=ForgottenForm,
    )
    # Flask-Security would take a bearer token for a session; we hand out none and take none.
    app.login_manager.request_loader(lambda _request: None)  # type: ignore[attr-defined]
    app.before_request(_only_short_forms)
    app.before_request(_throttle)
    app.after_request(_count)
    app.before_request(_take_write_lock)
    user_logged_in.connect(_forget_csrf_token, app)
    user_logged_out.connect(_end_sessions, app)
    app.context_processor(lambda: {"reset_address": _reset_address, "sign_in_notice": _notice})


def _only_short_forms() -> None:
    """Forms, not JSON; and nothing that would be costly to hash or to show again."""
    if request.method != "POST" or not (request.endpoint or "").startswith("security."):
        return
    if request.is_json or "include_auth_token" in request.args:
        abort(400)
    if any(len(value) > _LONGEST_FIELD for name, value in request.form.items() if name != "csrf_token"):
        abort(413)


def _throttle() -> None:
    if _is_sign_in() and (wait := throttle.wait_ms(_sign_in_keys(), now_ms())):
        abort(429, description=f"Wait {wait // 1000 + 1:,} seconds, then try again.")


def _count(response: Response) -> Response:
    """A try that ended in a session forgets the ones before it; any other is counted."""
    if _is_sign_in() and response.status_code == 200:
        throttle.note(_sign_in_keys(), now_ms())
    elif _is_sign_in() and response.status_code in (302, 303):
        throttle.clear(_sign_in_keys()[:1])
    return response


def _is_sign_in() -> bool:
    return request.method == "POST" and request.endpoint == "security.login"


def _sign_in_keys() -> list[str]:
    return throttle.sign_in_keys(request.form.get("email", ""), request.remote_addr or "")


def _forget_csrf_token(_app: Flask, **_details: Any) -> None:
    """A token from before belongs to whoever held the session then."""
    session.pop("csrf_token", None)


def _end_sessions(_app: Flask, user: Account, **_details: Any) -> None:
    """A copied cookie must not outlive signing out."""
    end_sessions(user.id)


def _take_write_lock() -> None:
    """Flask-Security reads and then writes here; SQLite refuses that to a transaction that began as a reader."""
    if request.method == "POST" and request.endpoint == "security.reset_password":
        db.session.rollback()
        db.session.connection(execution_options={"immediate": True})


def _notice() -> str:
    """What administrators tell everybody who comes to sign in, as Markdown; mostly nothing."""
    return words_of(SIGN_IN_NOTICE).text


def _reset_address(token: str) -> str:
    """By the public address of the settings: the Host header is whatever the caller says (a stolen reset otherwise)."""
    return settings().public_url + url_for("security.reset_password", token=token)
