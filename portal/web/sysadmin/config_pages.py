"""System → AppConfig: the settings, who changed them, and what they make of a text now."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused, InvalidInput
from portal.messages.rules.message_modes import CHANNEL_LABELS
from portal.settings import app_settings as actions
from portal.settings import setting_history, token_rotation
from portal.settings.app_settings import SettingUpdate
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.configuration import (
    Configuration,
    channel_of_setting,
    could_go_live,
    goes_live_on_expiry_at_ms,
    liveness_check,
)
from portal.settings.setting_history import SettingHistoryEntry
from portal.web.access import allow
from portal.web.paging import Page, paginate
from portal.web.request_input import form_code, query_id
from portal.web.sysadmin.config_form import (
    EXPIRY_CHOICES,
    SettingForm,
    form_from_errors,
    form_from_stored,
    save_submitted_setting,
)
from portal.web.template_filters import current_time_zone, format_relative_time

pages = Blueprint("sysadmin_config", __name__, url_prefix="/SysAdmin/AppConfig")
GROUPS = {
    "Text messages": ("EnableSmsNotifications",),
    "Gateway": ("SmsGatewayType", "SmsGatewayAuthentication", "SmsGatewaySettings"),
    "Override": ("EnableSmsOverrideNumber", "SmsOverrideNumber"),
    "Email override": ("EnableEmailOverride", "EmailOverrideAddress"),
    "Test mode": ("EnableSmsTestMode", "TestSmsGatewayAuthentication", "TestSmsGatewaySettings"),
}
_PAGE_SIZE = 20


@pages.get("")
@allow("sysadmin")
def listing() -> str:
    found, at_ms = actions.configuration(), now_ms()
    return render_template(
        "sysadmin/config/index.html",
        config=found,
        at_ms=at_ms,
        gateway=found.gateway(at_ms),
        groups=GROUPS,
        definitions=DEFINITIONS,
        last=setting_history.latest_entries(at_ms),
        simulated=actions.is_simulated(found),
        live_at_ms=goes_live_on_expiry_at_ms(found, at_ms),
        page=_history(at_ms),
    )


@pages.get("/<name>")
@allow("sysadmin")
def edit(name: str) -> ResponseReturnValue:
    found = actions.configuration()
    return _editor(form_from_stored(found, _known_setting_or_404(name), now_ms()))


@pages.post("/<name>")
@allow("sysadmin")
def change(name: str) -> ResponseReturnValue:
    try:
        live_ms = save_submitted_setting(_known_setting_or_404(name), current_user.id, now_ms())
    except InvalidInput as error:
        return _editor(form_from_errors(actions.configuration(), name, now_ms(), error))
    return _saved(name, live_ms)


@pages.post("/<name>/token")
@allow("sysadmin")
def replace_token(name: str) -> ResponseReturnValue:
    """The old one stays good for webhooks until it is forgotten."""
    wish = SettingUpdate(_known_setting_or_404(name), current_user.id, now_ms(), "page")
    try:
        token_rotation.rotate_auth_token(wish, form_code("token"))
    except ActionRefused as error:
        form = form_from_stored(actions.configuration(), name, now_ms())
        return _editor(form, {"token": error.message})
    flash("The new token is in use. Webhooks signed with the old one are still accepted until you forget it.", "info")
    return redirect(url_for(".edit", name=name), 303)


@pages.post("/<name>/token/forget")
@allow("sysadmin")
def forget_token(name: str) -> ResponseReturnValue:
    token_rotation.drop_previous_token(SettingUpdate(_known_setting_or_404(name), current_user.id, now_ms(), "page"))
    flash("The old token is forgotten: what it signs is refused from now on.", "info")
    return redirect(url_for(".edit", name=name), 303)


def _known_setting_or_404(name: str) -> str:
    return name if name in DEFINITIONS else abort(404)


def _history(at_ms: int, name: str = "") -> Page[SettingHistoryEntry]:
    """On the first page with the ends that nobody wrote down, in their place."""
    before = query_id("before")
    page = paginate(setting_history.history_entries(_PAGE_SIZE + 1, name, before), _PAGE_SIZE, before)
    if before is None:
        page.rows.extend(setting_history.expired_switches(at_ms, name))
        page.rows.sort(key=lambda line: -line.at_ms)
    return page


def _editor(form: SettingForm, token_errors: dict[str, str] | None = None) -> ResponseReturnValue:
    found, at_ms, name = actions.configuration(), now_ms(), form.definition.name
    simulated, value = channel_of_setting(name) == "sms" and actions.is_simulated(found), found.values.get(name)
    page = render_template(
        "sysadmin/config/edit.html",
        form=form,
        config=found,
        at_ms=at_ms,
        stored=form.shape.masked_values(value) if form.shape and isinstance(value, dict) else {},
        choices={dialect: dialect for dialect in found.provider_schemas},
        hint=_hint(form),
        ends=EXPIRY_CHOICES,
        zone=current_time_zone(),
        token_errors=token_errors or {},
        simulated=simulated,
        reach=CHANNEL_LABELS[channel_of_setting(name)],
        needs_confirmation=not simulated and could_go_live(found, name, at_ms),
        waiting=_waiting_message(found, name, at_ms),
        goes_live_on_expiry=not simulated and liveness_check(name)(found.with_value(name, True, at_ms), at_ms),
        page=_history(at_ms, name),
    )
    return page, 422 if form.errors or token_errors else 200


def _waiting_message(found: Configuration, name: str, at_ms: int) -> str:
    """What a change that lets messages reach people sets in motion; "" where this setting cannot, or nothing waits."""
    return actions.waiting_message(name) if could_go_live(found, name, at_ms) else ""


def _hint(form: SettingForm) -> str:
    if form.definition.kind == "flag":
        return "true or false, as on the command line."
    if form.shape is None:
        return "As on the command line."
    secrets = any(key.is_secret for key in form.shape.fields)
    kept = " A secret that is empty, or as it is shown, stays as it is." if secrets else ""
    return f"As on the command line. The fields are {', '.join(key.name for key in form.shape.fields)}.{kept}"


def _saved(name: str, live_ms: int | None) -> ResponseReturnValue:
    found, at_ms = actions.configuration(), now_ms()
    words = [f"{name} is saved."]
    reach, is_live, end_ms = (
        CHANNEL_LABELS[channel_of_setting(name)],
        liveness_check(name),
        found.expires_at_ms_by_name.get(name, 0),
    )
    if end_ms > at_ms:
        words.append(f"It ends {format_relative_time(end_ms, at_ms, current_time_zone())}.")
        if is_live(found, end_ms):
            words.append(f"{reach.plural.capitalize()} go LIVE then: they reach {reach.recipients_emphasized}.")
    if live_ms is not None and live_ms <= at_ms:
        words += [f"{reach.live_label} from now on.", actions.waiting_message(name)]
    flash(" ".join(filter(None, words)), "info")
    return redirect(url_for(".listing"), 303)
