"""My account → Profile: name, time zone, language, email address and password."""

from dataclasses import replace

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, EqualTo

from portal.accounts.account_editing import edit_account
from portal.accounts.email_change import confirm_email_change, request_email_change, requested_change
from portal.accounts.own_password import change_password
from portal.accounts.rules.password_strength import MIN_PASSWORD_LENGTH
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.time_zones import timezone_choices
from portal.core.translation import N_, lazy_gettext, use_language
from portal.core.translation import gettext as _
from portal.messages.rules.message_modes import mask_email_address
from portal.web.access import allow, public
from portal.web.account.account_emails import (
    PASSWORD_CHANGED,
    public_address,
    recipient_of,
    run_after_response,
    send_account_email,
)
from portal.web.authentication.browser_sessions import go_on_with_new_identity
from portal.web.authentication.password_refusal import needs_password_sign_in
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.base_form import PortalForm
from portal.web.languages import language_choices, remember_language, request_language

pages = Blueprint("my_profile", __name__, url_prefix="/MyAccount/Profile")
_DETAILS = ("name", "timezone", "language")


class DetailsForm(PortalForm):
    name = StringField(lazy_gettext("Name"), render_kw={"maxlength": 200, "autocomplete": "name"})
    timezone = StringField(
        lazy_gettext("Time zone"),
        description=lazy_gettext("Start typing a large city nearby, such as New_York, and choose from the list."),
        render_kw={"maxlength": 60, "autocomplete": "off", "list": "cities", "spellcheck": "false"},
    )
    language = SelectField(
        lazy_gettext("Language"),
        description=lazy_gettext("Of these pages, and of the messages to you."),
        choices=language_choices,
        validate_choice=False,
    )


class EmailForm(PortalForm):
    email = StringField(
        lazy_gettext("New email address"),
        render_kw={"maxlength": 254, "autocomplete": "email", "inputmode": "email"},
    )


class PasswordForm(PortalForm):
    current = PasswordField(lazy_gettext("Current password"), [DataRequired(lazy_gettext("Enter your password."))])
    password = PasswordField(lazy_gettext("New password"), [DataRequired(lazy_gettext("Enter a new password."))])
    password_confirm = PasswordField(
        lazy_gettext("Confirm new password"),
        [
            DataRequired(lazy_gettext("Enter the new password again.")),
            EqualTo("password", lazy_gettext("The two passwords do not match.")),
        ],
    )


@pages.get("")
@allow("user")
def page() -> ResponseReturnValue:
    return _page()


@pages.post("/Details")
@allow("user")
def save_details() -> ResponseReturnValue:
    form, account_id = DetailsForm(), current_user.id
    typed = {name: form[name].data for name in _DETAILS}
    stored = {name: getattr(current_user, name) for name in _DETAILS}
    try:
        edit_account(account_id, typed, {}, stored, account_id, now_ms())
    except InvalidInput as error:
        return _page(details=form.with_errors(error))
    with use_language(request_language()):  # it may have changed
        flash(_("Your profile is saved."), "info")
    response = redirect(url_for(".page"), 303)
    remember_language(response, typed["language"])
    return response


@pages.post("/Email")
@allow("user")
@needs_recent_sign_in
def change_email() -> ResponseReturnValue:
    """The emails leave after the response, so that its time is the same for every address."""
    form, old, external_id = EmailForm(), recipient_of(current_user), current_user.external_id
    try:
        email, token = request_email_change(current_user, form.email.data, now_ms())
    except InvalidInput as error:
        return _page(email=form.with_errors(error))
    context = {"external_id": external_id, "address": mask_email_address(email), "is_done": False}
    new, link = replace(old, email=email), public_address("my_profile.confirm_email", token=token)
    run_after_response(
        lambda: (
            send_account_email("email_change", new, N_("Confirm your address"), external_id=external_id, link=link),
            send_account_email("email_change_notice", old, N_("Your address"), **context),
        )
    )
    flash(_("We have sent a link to %(address)s. Your address changes when you open it.", address=email), "info")
    return redirect(url_for(".page"), 303)


@pages.post("/Password")
@allow("user")
@needs_password_sign_in
def save_password() -> ResponseReturnValue:
    """Other sessions end; this one goes on."""
    form = PasswordForm()
    if not form.validate():
        return _page(password=form)
    account_id = current_user.id
    try:
        change_password(current_user, form.current.data, form.password.data, now_ms())
    except InvalidInput as error:
        return _page(password=form.with_errors(error))
    account = db.session.get_one(Account, account_id)
    go_on_with_new_identity(is_proven=True)
    details = {"name": account.name, "external_id": account.external_id, "type": account.account_type}
    recipient = recipient_of(account)
    run_after_response(lambda: send_account_email("reset_notice", recipient, PASSWORD_CHANGED, **details))
    flash(_("Your password is changed. Other devices are signed out."), "info")
    return redirect(url_for(".page"), 303)


@pages.get("/Email/<token>")
@public
def confirm_email(token: str) -> ResponseReturnValue:
    """Mail programs open links by themselves, so that only the button changes something."""
    found = requested_change(token)
    if found is None:
        return _unusable_link()
    account, email = found
    return render_template("security/confirm_email.html", external_id=account.external_id, email=email, token=token)


@pages.post("/Email/<token>")
@public
def apply_email(token: str) -> ResponseReturnValue:
    signed_in_id = current_user.id if current_user.is_authenticated else None
    changed = confirm_email_change(token, now_ms())
    if changed is None:
        return _unusable_link()
    account_id, old, email = changed
    account = db.session.get_one(Account, account_id)
    recipient = replace(recipient_of(account), email=old)
    context = {"external_id": account.external_id, "address": mask_email_address(email), "is_done": True}
    subject = N_("Your address is changed")
    run_after_response(lambda: send_account_email("email_change_notice", recipient, subject, **context))
    flash(_("The email address is now %(address)s.", address=email), "info")
    if signed_in_id != account_id:
        return redirect(url_for("security.login"), 303)
    go_on_with_new_identity(is_proven=False)
    return redirect(url_for(".page"), 303)


def _unusable_link() -> ResponseReturnValue:
    flash(_("This link was used, or has expired. Ask for a new one on your profile."), "error")
    return redirect(url_for(".page"), 303)


def _page(
    details: DetailsForm | None = None, email: EmailForm | None = None, password: PasswordForm | None = None
) -> ResponseReturnValue:
    forms = [form for form in (details, email, password) if form]
    page = render_template(
        "my_account/profile.html",
        details=details or DetailsForm(formdata=None, obj=current_user),
        email_form=email or EmailForm(formdata=None),
        password_form=password or PasswordForm(formdata=None),
        errors={name: message for form in forms for name, message in form.error_messages.items()},
        cities=timezone_choices(),
        passwords=settings().password_sign_in,
        min_length=MIN_PASSWORD_LENGTH,
    )
    return page, 422 if forms else 200
