"""My account → Security: the second factor, recovery codes, and the devices that are trusted."""

from flask import Blueprint, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import StringField

from portal.accounts.tables.accounts import Account
from portal.authentication.authenticator_app import begin_enrolment, enrol_totp, read_enrolment
from portal.authentication.device_trust import end_trust, trusted_devices_of
from portal.authentication.recovery import renew_recovery_codes
from portal.authentication.rules.totp import app_uri
from portal.authentication.second_factors import has_second_factor, needs_second_factor, remove_own_second_factors
from portal.authentication.tables.passkeys import passkeys_of
from portal.authentication.tables.recovery_codes import count_recovery_codes
from portal.authentication.tables.totp_credentials import find_totp, has_totp
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.access import allow
from portal.web.account.qr_code import qr_code_svg
from portal.web.authentication.passkey_challenges import current_site
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.authentication.second_factor_gate import (
    forget_second_factor,
    must_set_up_second_factor,
    open_without_second_factor,
    page_before_set_up,
)
from portal.web.authentication.security_emails import (
    RECOVERY_CODES_RENEWED,
    SECOND_FACTOR_REMOVED,
    TOTP_ENROLLED,
    tell_by_email,
)
from portal.web.base_form import PortalForm
from portal.web.error_pages import flash_outcome

pages = Blueprint("my_security", __name__, url_prefix="/MyAccount/Security")
_ENROLMENT = "totp_enrolment"
"""In the session: the app that is being set up, encrypted."""


class EnrolmentForm(PortalForm):
    code = StringField(lazy_gettext("Code"))


@pages.get("")
@allow("user")
def page() -> str:
    account_id = current_user.id
    return render_template(
        "authentication/security.html",
        totp=find_totp(account_id),
        has_second_factor=has_second_factor(account_id),
        is_required=needs_second_factor(current_user.role),
        recovery_code_count=count_recovery_codes(account_id),
        passkeys=passkeys_of(account_id),
        passkey_site=current_site(),
        devices=trusted_devices_of(current_user, now_ms()),
        trusted_device_days=settings().trusted_device_days,
    )


@pages.get("/Authenticator")
@allow("user")
@open_without_second_factor
def totp_form() -> ResponseReturnValue:
    return _enrolment_page(EnrolmentForm(formdata=None))


@pages.post("/Authenticator")
@allow("user")
@open_without_second_factor
@needs_recent_sign_in
def set_up_totp() -> ResponseReturnValue:
    form, account_id = EnrolmentForm(), current_user.id
    enrolment, was_missing = read_enrolment(account_id, session.get(_ENROLMENT, "")), must_set_up_second_factor()
    if enrolment is None:
        return redirect(url_for(".totp_form"), 303)
    try:
        enrol_totp(current_user, enrolment, form.code.data, now_ms())
    except InvalidInput as error:
        return _enrolment_page(form.with_errors(error))
    session.pop(_ENROLMENT)
    tell_by_email(db.session.get_one(Account, account_id), TOTP_ENROLLED)
    flash(_("Your authenticator app is set up. From now on, signing in takes a code of it."), "info")
    return redirect(page_before_set_up() if was_missing else url_for(".page"), 303)


@pages.post("/Authenticator/Remove")
@allow("user")
@needs_recent_sign_in
def remove() -> ResponseReturnValue:
    with flash_outcome(_("Your second factor is removed. Signing in takes only your password.")):
        remove_own_second_factors(current_user, now_ms())
        forget_second_factor()
        tell_by_email(current_user, SECOND_FACTOR_REMOVED)
    return redirect(url_for(".page"), 303)


@pages.post("/RecoveryCodes")
@allow("user")
@needs_recent_sign_in
def renew_codes() -> ResponseReturnValue:
    if not has_second_factor(current_user.id):
        return redirect(url_for(".page"), 303)
    codes = renew_recovery_codes(current_user, now_ms())
    tell_by_email(current_user, RECOVERY_CODES_RENEWED)
    return render_template("authentication/recovery_codes.html", codes=codes)


@pages.post("/Devices")
@allow("user")
@needs_recent_sign_in
def stop_trusting() -> ResponseReturnValue:
    end_trust(current_user, now_ms())
    flash(_("From now on, every device asks for a code."), "info")
    return redirect(url_for(".page"), 303)


def _enrolment_page(form: EnrolmentForm) -> ResponseReturnValue:
    """The same key until the app is set up, so that loading the page again does not undo a scan."""
    account_id = current_user.id
    enrolment = read_enrolment(account_id, session.get(_ENROLMENT, ""))
    if enrolment is None:
        session[_ENROLMENT] = begin_enrolment(account_id)
        return _enrolment_page(form)
    uri = app_uri(enrolment.secret, current_user.external_id, current_organisation().name)
    page = render_template(
        "authentication/totp_set_up.html",
        form=form,
        enrolment=enrolment,
        qr_code=qr_code_svg(uri, _("QR code for your authenticator app")),
        replaces=has_totp(account_id),
        is_forced=must_set_up_second_factor(),
        passkey_site=current_site(),
    )
    return page, 422 if form.errors else 200
