"""Setup → Twilio: the account, the number, and the addresses that Twilio calls."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import PasswordField, SelectField, StringField

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules.text_input import clean_code
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA
from portal.operations.twilio_snapshot import webhook_urls
from portal.settings import app_settings
from portal.settings.setting_changes import LiveConfirmationRequired
from portal.setup import twilio_connection
from portal.setup.twilio_connection import CREDENTIALS, SENDER, TwilioInput
from portal.web.access import allow
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.base_form import PortalForm

pages = Blueprint("setup_twilio", __name__, url_prefix="/SysAdmin/Setup/Twilio")


def _type_choices() -> dict[str, str]:
    (field,) = (field for field in TWILIO_SCHEMA.sender_schema.fields if field.name == "NumberType")
    own = {key: _(label) for key, label in field.choices.items()}
    return {"": _("Automatic, by the number"), **own}


class TwilioForm(PortalForm):
    """Named as the keys of the settings."""

    AccountSid = StringField(lazy_gettext("Account SID"), filters=[clean_code])
    AuthToken = PasswordField(lazy_gettext("Auth token"), filters=[clean_code])
    FromNumber = StringField(lazy_gettext("Number"), filters=[clean_code])
    NumberType = SelectField(lazy_gettext("Type of number"), choices=_type_choices, validate_choice=False)


@pages.get("")
@allow("sysadmin")
def page() -> ResponseReturnValue:
    config = app_settings.configuration(CREDENTIALS, SENDER)
    stored = {**config.json_object(CREDENTIALS), **config.json_object(SENDER)}
    data = {key: str(stored.get(key, "")) for key in ("AccountSid", "FromNumber", "NumberType")}
    return _render(TwilioForm(formdata=None, data=data))


@pages.post("")
@allow("sysadmin")
@needs_recent_sign_in
def save() -> ResponseReturnValue:
    form = TwilioForm()
    entered = TwilioInput(form.AccountSid.data, form.AuthToken.data, form.FromNumber.data, form.NumberType.data)
    try:
        twilio_connection.connect(entered, current_user.id, now_ms())
    except LiveConfirmationRequired:
        return _render(
            form, _("Texts would go live with this. Turn off text messages first, or confirm it in Settings.")
        )
    except InvalidInput as error:
        return _render(form.with_errors(error, otherwise="AccountSid"))
    flash(_("Twilio accepts the account, and the number is on it."), "info")
    return redirect(url_for(".page"), 303)


@pages.post("/Webhooks")
@allow("sysadmin")
def set_webhooks() -> ResponseReturnValue:
    try:
        message = twilio_connection.set_webhooks(current_user.id, now_ms())
    except ActionRefused as refusal:
        flash(refusal.message, "error")
        return redirect(url_for(".page"), 303)
    flash(message, "info")
    return redirect(url_for("setup_checklist.page"), 303)


def _render(form: TwilioForm, refusal: str = "") -> ResponseReturnValue:
    config, gateway = app_settings.configuration(), app_settings.live_gateway()
    page = render_template(
        "setup/twilio.html",
        form=form,
        refusal=refusal,
        has_token=bool(config.json_object(CREDENTIALS).get("AuthToken")),
        is_connected=gateway.credentials is not None and gateway.sender is not None,
        are_webhooks_set=twilio_connection.are_webhooks_set(),
        webhook_urls=webhook_urls(),
    )
    return page, 422 if form.errors or refusal else 200
