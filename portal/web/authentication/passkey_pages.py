"""My account → Security → Passkeys: add one and remove one."""

import structlog
from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, StringField

from portal.accounts.tables.accounts import Account
from portal.authentication.passkey_ceremonies import PasskeyRefused, add_passkey, registration_options, remove_passkey
from portal.authentication.rules.devices import device_of
from portal.authentication.rules.passkey_site import PasskeySite
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.web.access import allow
from portal.web.authentication.passkey_challenges import ADDING, current_site, new_challenge, take_challenge
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.authentication.second_factor_gate import (
    forget_second_factor,
    must_set_up_second_factor,
    open_without_second_factor,
    page_before_set_up,
)
from portal.web.authentication.security_emails import PASSKEY_ADDED, PASSKEY_REMOVED, tell_by_email
from portal.web.base_form import PortalForm
from portal.web.error_pages import flash_outcome

pages = Blueprint("my_passkeys", __name__, url_prefix="/MyAccount/Security/Passkeys")
_log = structlog.get_logger(__name__)


class NewPasskeyForm(PortalForm):
    name = StringField(lazy_gettext("Name"), description=lazy_gettext("Such as the device that keeps the passkey."))
    answer = HiddenField()


@pages.get("/New")
@allow("user")
@open_without_second_factor
def new() -> ResponseReturnValue:
    return _new_page(NewPasskeyForm(formdata=None, name=device_of(request.user_agent.string).name))


@pages.post("/New")
@allow("user")
@open_without_second_factor
@needs_recent_sign_in
def add() -> ResponseReturnValue:
    form, account_id, site = NewPasskeyForm(), current_user.id, _site()
    was_missing, answer = must_set_up_second_factor(), (form.answer.data, take_challenge(ADDING))
    try:
        codes = add_passkey(current_user, form.name.data, *answer, site, now_ms())
    except InvalidInput as error:
        return _new_page(form.with_errors(error))
    except PasskeyRefused as refusal:
        _log.warning("passkey refused", reason=refusal.reason)
        form.form_errors.append(refusal.message)
        return _new_page(form)
    tell_by_email(db.session.get_one(Account, account_id), PASSKEY_ADDED)
    next_url = page_before_set_up() if was_missing else url_for("my_security.page")
    if codes:
        return render_template("authentication/recovery_codes.html", codes=codes, next_url=next_url)
    flash(_("Your passkey is added. You can sign in with it."), "info")
    return redirect(next_url, 303)


@pages.post("/<id:passkey_id>/Remove")
@allow("user")
@needs_recent_sign_in
def remove(passkey_id: int) -> ResponseReturnValue:
    account_id = current_user.id
    with flash_outcome(_("The passkey is removed here. Delete it on your device, too.")):
        is_removed = remove_passkey(current_user, passkey_id, now_ms())
        forget_second_factor()
        if is_removed:
            tell_by_email(db.session.get_one(Account, account_id), PASSKEY_REMOVED)
    return redirect(url_for("my_security.page"), 303)


def _site() -> PasskeySite:
    return current_site() or abort(404)


def _new_page(form: NewPasskeyForm) -> ResponseReturnValue:
    """With a new challenge each time."""
    organisation, site = current_organisation().name, _site()
    options = registration_options(current_user, organisation, site, new_challenge(ADDING))
    is_forced = must_set_up_second_factor()
    page = render_template("authentication/new_passkey.html", form=form, options=options, is_forced=is_forced)
    return page, 422 if form.errors or form.form_errors else 200
