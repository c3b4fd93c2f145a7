"""The second step of signing in: a code of the authenticator app, or a recovery code."""

from collections.abc import Callable
from typing import cast

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, StringField
from wtforms.validators import DataRequired

from portal.accounts.sign_in_records import count_failed_sign_in
from portal.accounts.tables.accounts import Account
from portal.authentication.authenticator_app import use_totp_code
from portal.authentication.device_trust import trust_device
from portal.authentication.identity_proof import attempt_second_factor
from portal.authentication.recovery import use_recovery_code
from portal.authentication.rules.devices import device_of
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.access import public
from portal.web.account.known_devices import current_client
from portal.web.account.sign_in_form import start_session
from portal.web.authentication.device_cookie import device_token, keep_device_token
from portal.web.authentication.second_step import PendingSignIn, other_steps, pending_sign_in
from portal.web.authentication.security_emails import RECOVERY_CODE_USED, tell_by_email
from portal.web.base_form import PortalForm

pages = Blueprint("second_step", __name__, url_prefix="/SignIn")


class SecondStepForm(PortalForm):
    trusts_device = BooleanField()


class TotpForm(SecondStepForm):
    factor = "totp"
    code = StringField(lazy_gettext("Code"), [DataRequired(lazy_gettext("Enter the code that the app shows."))])


class RecoveryCodeForm(SecondStepForm):
    factor = "recovery_code"
    code = StringField(lazy_gettext("Recovery code"), [DataRequired(lazy_gettext("Enter one of your recovery codes."))])


@pages.route("/Code", methods=["GET", "POST"])
@public
def code() -> ResponseReturnValue:
    wrong = _("This code is not right. Enter the one that the app shows now.")
    return _ask(TotpForm(), _uses_totp_code, "authentication/totp_step.html", wrong)


@pages.route("/RecoveryCode", methods=["GET", "POST"])
@public
def recovery_code() -> ResponseReturnValue:
    wrong = _("This is none of your unused recovery codes.")
    return _ask(RecoveryCodeForm(), _uses_recovery_code, "authentication/recovery_code_step.html", wrong)


def complete_second_step(pending: PendingSignIn, trusts_device: bool, factor: str) -> ResponseReturnValue:
    """Sign in; `factor` is a name in `SECOND_FACTORS`.

    With `trusts_device`, this browser is not asked for the second factor for a while.
    """
    if pending_sign_in() is None:  # ended while the factor was checked, such as by a new password
        return restart_sign_in()
    account, token = pending.account, ""
    account_id = account.id
    if trusts_device and settings().trusted_device_days:
        token = trust_device(account, device_token(), device_of(request.user_agent.string).name, now_ms())
    response = cast(Response, start_session(account_id, pending.target, [pending.method, factor]))
    if token:
        keep_device_token(response, token)
    return response


def record_wrong_factor(pending: PendingSignIn) -> None:
    """Of a kind that has no throttle. Whoever tries it has proved the first factor."""
    count_failed_sign_in({pending.account.id}, request.remote_addr or "", now_ms())


def restart_sign_in() -> ResponseReturnValue:
    flash(_("Your time to finish signing in ran out. Sign in again."), "info")
    return redirect(url_for("security.login"), 303)


def _ask(
    form: TotpForm | RecoveryCodeForm, proves: Callable[[Account, str], bool], template: str, wrong: str
) -> ResponseReturnValue:
    pending = pending_sign_in()
    if pending is None:
        return restart_sign_in()
    account = pending.account
    try:
        if form.validate_on_submit():
            if attempt_second_factor(account.id, current_client(), lambda: proves(account, form.code.data), now_ms()):
                return complete_second_step(pending, form.trusts_device.data, form.factor)
            form.code.errors = [wrong]
    except InvalidInput as error:
        form.with_errors(error)
    others, days = other_steps(account.id), settings().trusted_device_days
    return render_template(template, form=form, account=account, others=others, days=days), 422 if form.errors else 200


def _uses_totp_code(account: Account, text: str) -> bool:
    return use_totp_code(account.id, text, now_ms())


def _uses_recovery_code(account: Account, text: str) -> bool:
    is_used = use_recovery_code(account, text, now_ms())
    if is_used:
        tell_by_email(account, RECOVERY_CODE_USED)
    return is_used
