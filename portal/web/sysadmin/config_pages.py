"""System → AppConfig: the settings, their history, and what they mean for messages now."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.translation import gettext as _
from portal.messages.rules.message_modes import CHANNEL_LABELS
from portal.settings import app_settings, organisation_changes, setting_changes, setting_history, token_rotation
from portal.settings.rules.app_config import DEFINITIONS, GROUPS, VARIABLES
from portal.settings.rules.installation_settings import EMAIL_SERVER
from portal.settings.rules.retention_settings import RETENTION_SETTINGS
from portal.settings.setting_changes import SettingUpdate
from portal.settings.tables.setting_values import SettingChange, history_entries
from portal.web.access import allow
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.paging import Page, paginate
from portal.web.request_input import query_id
from portal.web.sysadmin.config_form import SettingForm, TokenForm, setting_form
from portal.web.time_display import current_time_zone, describe_time

pages = Blueprint("sysadmin_config", __name__, url_prefix="/SysAdmin/AppConfig")
_PAGE_SIZE = 20


@pages.get("")
@allow("sysadmin")
def listing() -> str:
    config, at_ms = app_settings.configuration(), now_ms()
    return render_template(
        "sysadmin/config/index.html",
        config=config,
        at_ms=at_ms,
        gateway=config.gateway(at_ms),
        groups=GROUPS,
        latest_changes=setting_history.latest_entries(at_ms),
        is_simulated=app_settings.is_simulated(config),
        live_from_ms=config.live_from_ms("sms", at_ms),
        page=_history(at_ms),
    )


@pages.get("/<name>")
@allow("sysadmin")
def edit(name: str) -> ResponseReturnValue:
    if name in organisation_changes.SETTINGS:
        return redirect(url_for("sysadmin_organisation.page"))
    if name in RETENTION_SETTINGS.values():
        return redirect(url_for("sysadmin_retention.page"))  # which shows first what a change deletes
    if name in VARIABLES:
        return redirect(url_for("setup_email.page" if name == EMAIL_SERVER else "setup_organisation.page"))
    return _editor(setting_form(app_settings.configuration(), _known_setting_or_404(name), now_ms()))


@pages.post("/<name>")
@allow("sysadmin")
@needs_recent_sign_in
def change(name: str) -> ResponseReturnValue:
    at_ms = now_ms()
    form = setting_form(app_settings.configuration(), _known_setting_or_404(name), at_ms, is_submitted=True)
    try:
        expires_at_ms, confirmation = form.expires_at_ms(at_ms), form.confirmation.data
        _store_override_target(form, at_ms)
        update = SettingUpdate(name, current_user.id, at_ms, "page", expires_at_ms, confirmation)
        live_ms = setting_changes.change_setting(update, form.entered_text)
    except InvalidInput as error:
        form.reject(error, app_settings.configuration(), at_ms)
        return _editor(form)
    return _saved(name, live_ms)


def _store_override_target(form: SettingForm, at_ms: int) -> None:
    """Where an override sends to, if its form asked for it. Raises `InvalidInput` for the field `target`."""
    if target := form.entered_target():
        name, text = target
        try:
            setting_changes.change_setting(SettingUpdate(name, current_user.id, at_ms, "page"), text)
        except InvalidInput as error:
            raise InvalidInput({"target": error.message}) from error


@pages.post("/<name>/token")
@allow("sysadmin")
@needs_recent_sign_in
def replace_token(name: str) -> ResponseReturnValue:
    """Webhooks signed with the old token are accepted until it is removed."""
    update, token_form = SettingUpdate(_known_setting_or_404(name), current_user.id, now_ms(), "page"), TokenForm()
    try:
        token_rotation.rotate_auth_token(update, token_form.token.data)
    except ActionRefused as error:
        token_form.token.errors = [error.message]
        return _editor(setting_form(app_settings.configuration(), name, now_ms()), token_form)
    flash(_("The new token is in use. Webhooks signed with the old token are accepted until you remove it."), "info")
    return redirect(url_for(".edit", name=name), 303)


@pages.post("/<name>/token/remove")
@allow("sysadmin")
@needs_recent_sign_in
def remove_old_token(name: str) -> ResponseReturnValue:
    token_rotation.drop_previous_token(SettingUpdate(_known_setting_or_404(name), current_user.id, now_ms(), "page"))
    flash(_("The old token was removed. Webhooks signed with it are now rejected."), "info")
    return redirect(url_for(".edit", name=name), 303)


def _known_setting_or_404(name: str) -> str:
    return name if name in DEFINITIONS else abort(404)


def _history(at_ms: int, name: str = "") -> Page[SettingChange]:
    """The first page also has the expiries, which are not recorded."""
    before = query_id("before")
    page = paginate(history_entries(_PAGE_SIZE + 1, (name,) if name else (), before), _PAGE_SIZE, before)
    if before is None:
        page.rows.extend(setting_history.expired_switches(at_ms, name))
        page.rows.sort(key=lambda entry: -entry.at_ms)
    return page


def _editor(form: SettingForm, token_form: TokenForm | None = None) -> ResponseReturnValue:
    config, at_ms, name, channel = app_settings.configuration(), now_ms(), form.definition.name, form.definition.channel
    is_simulated = channel == "sms" and app_settings.is_simulated(config)
    token_form = token_form or TokenForm(formdata=None)
    page = render_template(
        "sysadmin/config/edit.html",
        form=form,
        token_form=token_form,
        config=config,
        at_ms=at_ms,
        stored=form.schema.masked_values(config.json_object(name)) if form.schema else {},
        hint=_hint(form),
        time_zone=current_time_zone(),
        is_simulated=is_simulated,
        channel=CHANNEL_LABELS[channel],
        needs_confirmation=not is_simulated and config.could_go_live(name, at_ms),
        waiting_message=setting_changes.waiting_message(name) if config.could_go_live(name, at_ms) else "",
        goes_live_on_expiry=form.definition.can_expire
        and not is_simulated
        and config.with_value(name, True, at_ms).is_live(channel, at_ms),
        page=_history(at_ms, name),
    )
    return page, 422 if form.errors or token_form.errors else 200


def _hint(form: SettingForm) -> str:
    if form.definition.kind == "flag":
        return _("%(on)s or %(off)s, as on the command line.", on="true", off="false")
    if form.schema is None:
        return _("As on the command line.")
    keys = ", ".join(key.name for key in form.schema.fields)
    if not form.schema.secrets:
        return _("As on the command line. The keys are %(keys)s.", keys=keys)
    return _(
        "As on the command line. The keys are %(keys)s. A secret that is left empty or masked does not change.",
        keys=keys,
    )


def _saved(name: str, live_ms: int | None) -> ResponseReturnValue:
    config, at_ms = app_settings.configuration(), now_ms()
    sentences = [_("%(name)s saved.", name=name)]
    channel, expires_at_ms = CHANNEL_LABELS[DEFINITIONS[name].channel], config.expires_at_ms_by_name.get(name, 0)
    if expires_at_ms > at_ms:
        sentences.append(_("It ends %(when)s.", when=describe_time(expires_at_ms, at_ms)))
        if config.is_live(DEFINITIONS[name].channel, expires_at_ms):
            sentences.append(_(channel.live_on_expiry))
    if live_ms is not None and live_ms <= at_ms:
        sentences += [_(channel.live_now), setting_changes.waiting_message(name)]
    flash(" ".join(filter(None, sentences)), "info")
    return redirect(url_for(".listing"), 303)
