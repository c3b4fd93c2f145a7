"""System → AppConfig: the settings, who changed them, and what they make of a text now."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.actions import setting_history, setting_tokens
from portal.actions import settings as actions
from portal.actions.errors import Invalid, Refused
from portal.actions.setting_history import Line
from portal.actions.settings import Change
from portal.clock import now_ms
from portal.domain.app_config import DEFINITIONS
from portal.domain.configuration import Configuration, channel_of, could_go_live, ends_live_ms, live_of
from portal.domain.rehearsal import REACHES
from portal.web.access import allow
from portal.web.config_form import ENDS, SettingForm, failed_form, save, stored_form
from portal.web.display import relative_words, viewer_zone
from portal.web.paging import Page, page_of
from portal.web.parsing import query_id, typed_code

pages = Blueprint("sysadmin_config", __name__, url_prefix="/SysAdmin/AppConfig")
GROUPS = {
    "Text messages": ("EnableSmsNotifications",),
    "Gateway": ("SmsGatewayType", "SmsGatewayAuthentication", "SmsGatewaySettings"),
    "Override": ("EnableSmsOverrideNumber", "SmsOverrideNumber"),
    "Email override": ("EnableEmailOverride", "EmailOverrideAddress"),
    "Test mode": ("EnableSmsTestMode", "TestSmsGatewayAuthentication", "TestSmsGatewaySettings"),
}
_A_PAGE = 20


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
        last=setting_history.last_lines(at_ms),
        simulated=actions.is_simulated(found),
        live_at_ms=ends_live_ms(found, at_ms),
        page=_history(at_ms),
    )


@pages.get("/<name>")
@allow("sysadmin")
def edit(name: str) -> ResponseReturnValue:
    found = actions.configuration()
    return _editor(stored_form(found, _known(name), now_ms()))


@pages.post("/<name>")
@allow("sysadmin")
def change(name: str) -> ResponseReturnValue:
    try:
        live_ms = save(_known(name), current_user.id, now_ms())
    except Invalid as error:
        return _editor(failed_form(actions.configuration(), name, now_ms(), error))
    return _saved(name, live_ms)


@pages.post("/<name>/token")
@allow("sysadmin")
def replace_token(name: str) -> ResponseReturnValue:
    """The old one stays good for webhooks until it is forgotten."""
    wish = Change(_known(name), current_user.id, now_ms(), "page")
    try:
        setting_tokens.replace_token(wish, typed_code("token"))
    except Refused as error:
        form = stored_form(actions.configuration(), name, now_ms())
        return _editor(form, {"token": error.sentence})
    flash("The new token is in use. Webhooks signed with the old one are still accepted until you forget it.", "info")
    return redirect(url_for(".edit", name=name), 303)


@pages.post("/<name>/token/forget")
@allow("sysadmin")
def forget_token(name: str) -> ResponseReturnValue:
    setting_tokens.forget_token(Change(_known(name), current_user.id, now_ms(), "page"))
    flash("The old token is forgotten: what it signs is refused from now on.", "info")
    return redirect(url_for(".edit", name=name), 303)


def _known(name: str) -> str:
    return name if name in DEFINITIONS else abort(404)


def _history(at_ms: int, name: str = "") -> Page[Line]:
    """On the first page with the ends that nobody wrote down, in their place."""
    before = query_id("before")
    page = page_of(setting_history.lines(_A_PAGE + 1, name, before), _A_PAGE, before)
    if before is None:
        page.rows.extend(setting_history.ended_by_itself(at_ms, name))
        page.rows.sort(key=lambda line: -line.at_ms)
    return page


def _editor(form: SettingForm, token_errors: dict[str, str] | None = None) -> ResponseReturnValue:
    found, at_ms, name = actions.configuration(), now_ms(), form.definition.name
    simulated, value = channel_of(name) == "sms" and actions.is_simulated(found), found.values.get(name)
    page = render_template(
        "sysadmin/config/edit.html",
        form=form,
        config=found,
        at_ms=at_ms,
        stored=form.shape.shown(value) if form.shape and isinstance(value, dict) else {},
        choices={dialect: dialect for dialect in found.dialects},
        hint=_hint(form),
        ends=ENDS,
        zone=viewer_zone(),
        token_errors=token_errors or {},
        simulated=simulated,
        reach=REACHES[channel_of(name)],
        confirms=not simulated and could_go_live(found, name, at_ms),
        waiting=_waiting(found, name, at_ms),
        live_after=not simulated and live_of(name)(found.changed(name, True, at_ms), at_ms),
        page=_history(at_ms, name),
    )
    return page, 422 if form.errors or token_errors else 200


def _waiting(found: Configuration, name: str, at_ms: int) -> str:
    """What a change that lets messages reach people sets in motion; "" where this setting cannot, or nothing waits."""
    return actions.waiting_words(name) if could_go_live(found, name, at_ms) else ""


def _hint(form: SettingForm) -> str:
    if form.definition.kind == "flag":
        return "true or false, as on the command line."
    if form.shape is None:
        return "As on the command line."
    secrets = any(key.is_secret for key in form.shape.keys)
    kept = " A secret that is empty, or as it is shown, stays as it is." if secrets else ""
    return f"As on the command line. The keys are {', '.join(key.name for key in form.shape.keys)}.{kept}"


def _saved(name: str, live_ms: int | None) -> ResponseReturnValue:
    found, at_ms = actions.configuration(), now_ms()
    words = [f"{name} is saved."]
    reach, is_live, end_ms = REACHES[channel_of(name)], live_of(name), found.ends.get(name, 0)
    if end_ms > at_ms:
        words.append(f"It ends {relative_words(end_ms, at_ms, viewer_zone())}.")
        if is_live(found, end_ms):
            words.append(f"{reach.many.capitalize()} go LIVE then: they reach {reach.own}.")
    if live_ms is not None and live_ms <= at_ms:
        words += [f"{reach.words} from now on.", actions.waiting_words(name)]
    flash(" ".join(filter(None, words)), "info")
    return redirect(url_for(".listing"), 303)
