"""Set a first password, by the link of an invitation."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.accounts.password_invitation import invited_account
from portal.accounts.passwords import password_rule_problem, reset_password_by_link
from portal.accounts.rules.password_strength import MIN_PASSWORD_LENGTH
from portal.core.clock import now_ms
from portal.core.translation import gettext as _
from portal.web.access import public
from portal.web.account.sign_in_pages import NewPasswordForm
from portal.web.authentication.password_refusal import needs_password_sign_in

pages = Blueprint("password_invitation", __name__, url_prefix="/SetPassword")


@pages.route("/<token>", endpoint="form", methods=["GET", "POST"])
@public
@needs_password_sign_in
def set_password(token: str) -> ResponseReturnValue:
    account = invited_account(token)
    if account is None:
        flash(_("This link was used or has expired. If you have no password yet, ask for a new link here."), "error")
        return redirect(url_for("security.forgot_password"))
    form = NewPasswordForm()
    if form.validate_on_submit():
        problem = password_rule_problem(form.password.data, account.name, account.email, account.external_id)
        if problem is None:
            return _set_password(account.id, account.fs_uniquifier, form.password.data)
        form.password.errors = [problem]
    page = render_template(
        "security/set_password.html", form=form, account=account, token=token, min_length=MIN_PASSWORD_LENGTH
    )
    return page, 422 if form.errors else 200


def _set_password(account_id: int, identity: str, password: str) -> ResponseReturnValue:
    if reset_password_by_link(account_id, identity, password, now_ms()):
        flash(_("Your password is set. Sign in with it."), "info")
    else:
        flash(_("This link was used already. Sign in with your password."), "error")
    return redirect(url_for("security.login"), 303)
