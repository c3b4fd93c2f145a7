"""Setup → email: the mail server, and the test email that proves it."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import StringField

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.gateways.smtp import parse_url
from portal.settings.app_settings import configuration
from portal.settings.rules.installation_settings import EMAIL_SERVER, MAIL_FROM_VARIABLE, MAIL_SERVER_SCHEMA
from portal.setup import email_proof
from portal.setup.email_proof import EmailTest
from portal.web.access import allow
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.base_form import PortalForm
from portal.web.request_input import query_text
from portal.web.sysadmin.setting_fields import key_field

pages = Blueprint("setup_email", __name__, url_prefix="/SysAdmin/Setup/Email")


def _server_form(**options: Any) -> PortalForm:
    """A field for each key of the setting."""
    fields = {key.name: key_field(key) for key in MAIL_SERVER_SCHEMA.fields}
    form: PortalForm = type("EmailServerForm", (PortalForm,), fields)(**options)
    return form


class CodeForm(PortalForm):
    code = StringField(lazy_gettext("Code"))


@pages.get("")
@allow("sysadmin")
def page() -> ResponseReturnValue:
    stored = configuration(EMAIL_SERVER).json_object(EMAIL_SERVER)
    data = {key.name: str(stored.get(key.name, "")) for key in MAIL_SERVER_SCHEMA.fields if not key.is_secret}
    code_form = CodeForm(formdata=None, data={"code": query_text("code")})
    return _render(_server_form(formdata=None, data=data), code_form)


@pages.post("")
@allow("sysadmin")
@needs_recent_sign_in
def save() -> ResponseReturnValue:
    """Save the mail server, and send the test email through it."""
    form = _server_form()
    try:
        address = email_proof.test_email(EmailTest(current_user.id, _entered(form)), now_ms())
    except InvalidInput as error:
        return _render(form.with_errors(error, otherwise="Host"), CodeForm(formdata=None))
    flash(_("The mail server accepted a test email to %(address)s.", address=address), "info")
    return redirect(url_for(".page"), 303)


@pages.post("/Code")
@allow("sysadmin")
def confirm() -> ResponseReturnValue:
    form = CodeForm()
    try:
        email_proof.confirm_arrival(form.code.data, now_ms())
    except InvalidInput as error:
        return _render(_server_form(formdata=None), form.with_errors(error))
    flash(_("Emails arrive."), "info")
    return redirect(url_for("setup_checklist.page"), 303)


def _entered(form: PortalForm) -> dict[str, Any] | None:
    """None if an environment variable names the mail server."""
    if email_proof.is_server_fixed():
        return None
    fields = {key.name: form[key.name].data for key in MAIL_SERVER_SCHEMA.fields}
    if _is_sender_fixed():
        fields["From"] = settings().mail_from
    return MAIL_SERVER_SCHEMA.parse_form(fields, configuration(EMAIL_SERVER).json_object(EMAIL_SERVER))


def _is_sender_fixed() -> bool:
    return MAIL_FROM_VARIABLE in settings().from_environment


def _render(form: PortalForm, code_form: CodeForm) -> ResponseReturnValue:
    server, errors = parse_url(settings().smtp_url), {**form.error_messages, **code_form.error_messages}
    page = render_template(
        "setup/email.html",
        form=form,
        code_form=code_form,
        errors=errors,
        is_server_fixed=email_proof.is_server_fixed(),
        is_sender_fixed=_is_sender_fixed(),
        server=f"{server.host}:{server.port}",
        sender=settings().mail_from,
        has_password=bool(configuration(EMAIL_SERVER).json_object(EMAIL_SERVER).get("Password")),
        is_proved=email_proof.is_proved(),
        is_code_expected=email_proof.is_code_expected(now_ms()),
        seconds=f"{email_proof.SECONDS:g}",
    )
    return page, 422 if errors else 200
