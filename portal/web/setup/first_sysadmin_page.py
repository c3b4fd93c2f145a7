"""The page behind the one-time link of `portal up`: make the first system administrator, and sign in."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import EmailField, PasswordField, StringField

from portal.accounts.rules.password_strength import MIN_PASSWORD_LENGTH
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.translation import lazy_gettext
from portal.setup import first_sysadmin
from portal.setup.first_sysadmin import LinkUnusable
from portal.web.access import has_role, public
from portal.web.account.sign_in_form import start_session
from portal.web.base_form import PortalForm

pages = Blueprint("first_sysadmin", __name__)


class FirstSysadminForm(PortalForm):
    name = StringField(lazy_gettext("Your name"))
    email = EmailField(lazy_gettext("Email"))
    password = PasswordField(lazy_gettext("Password"))


@pages.get("/Setup/<token>")
@public
def page(token: str) -> ResponseReturnValue:
    """The link may be opened again by whom it made a system administrator."""
    if first_sysadmin.is_link_usable(token, now_ms()):
        return _render(FirstSysadminForm(), token)
    return redirect(url_for("setup_checklist.page"), 303) if has_role("sysadmin") else _unusable()


@pages.post("/Setup/<token>")
@public
def create(token: str) -> ResponseReturnValue:
    form = FirstSysadminForm()
    entered = (form.name.data, form.email.data, form.password.data or "")
    try:
        account_id = first_sysadmin.create_first_sysadmin(token, *entered, now_ms())
    except LinkUnusable:
        return _unusable()
    except InvalidInput as error:
        return _render(form.with_errors(error), token)
    return start_session(account_id, url_for("setup_checklist.page"))


def _render(form: FirstSysadminForm, token: str) -> ResponseReturnValue:
    page = render_template("setup/first_sysadmin.html", form=form, token=token, min_length=MIN_PASSWORD_LENGTH)
    return page, 422 if form.errors else 200


def _unusable() -> ResponseReturnValue:
    return render_template("setup/link_unusable.html", is_signed_in=current_user.is_authenticated), 410
