"""Signing in and out, and forgotten passwords: Flask-Security-Too in our words and our look.

The sign-in name is an email address or an account number, since several accounts may share one email.
"""

from datetime import timedelta
from email.utils import make_msgid
from typing import Any

import structlog
from flask import Flask, Response, after_this_request, request, url_for
from flask_security import ForgotPasswordForm, LoginForm, MailUtil, SQLAlchemyUserDatastore
from wtforms import StringField
from wtforms.validators import DataRequired

from portal.context import settings
from portal.extensions import db, security
from portal.gateways.smtp import Mail, host_of, send_one
from portal.models.account import Account, Role, by_sign_in_name

_NAME_LABEL = "Email or account number"
_RESET_WITHIN = timedelta(hours=2)
_log = structlog.get_logger(__name__)


class NameField(StringField):  # type: ignore[misc]
    """A sign-in name without what no database can look for."""

    def process_formdata(self, values: list[str]) -> None:
        super().process_formdata([value.replace("\x00", "").strip() for value in values])


class SignInForm(LoginForm):  # type: ignore[misc]
    email = NameField(_NAME_LABEL, validators=[DataRequired("Enter your email or account number.")])

    def validate(self, **kwargs: Any) -> bool:
        self.ifield = self.email
        self.user = by_sign_in_name(self.email.data or "")
        return bool(super().validate(**kwargs))


class ForgottenForm(ForgotPasswordForm):  # type: ignore[misc]
    email = NameField(_NAME_LABEL, validators=[DataRequired("Enter your email or account number.")])

    def validate(self, **kwargs: Any) -> bool:
        self.user = by_sign_in_name(self.email.data or "")
        if self.user is None:
            self.email.errors = ["Nobody has this name."]  # never shown: the answer is the same for everybody
            return False
        return bool(super().validate(**kwargs))


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
        "PASSWORD_SALT": salt,
        "API_ENABLED_METHODS": ["session"],
        "FRESHNESS": timedelta(minutes=-1),
        "JOIN_USER_ROLES": False,
        "EMAIL_SUBJECT_PASSWORD_RESET": "Choose a new password",
        "EMAIL_SUBJECT_PASSWORD_NOTICE": "Your password was changed",
        "MSG_GENERIC_AUTHN_FAILED": ("This name and password do not go together.", "error"),
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
    app.before_request(_take_write_lock)
    app.context_processor(lambda: {"reset_address": _reset_address})


def _take_write_lock() -> None:
    """Flask-Security reads and then writes here; SQLite refuses that to a transaction that began as a reader."""
    if request.method == "POST" and request.endpoint == "security.reset_password":
        db.session.rollback()
        db.session.connection(execution_options={"immediate": True})


def _reset_address(token: str) -> str:
    """By the public address of the settings: the Host header is whatever the caller says (a stolen reset otherwise)."""
    return settings().public_url + url_for("security.reset_password", token=token)
