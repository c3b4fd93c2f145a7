"""System → Finish setting up: the steps, and which of them are done."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.translation import gettext as _
from portal.settings.rules.text_limits import QUIET_HOURS
from portal.setup import checklist
from portal.web.access import allow

pages = Blueprint("setup_checklist", __name__, url_prefix="/SysAdmin/Setup")
_ADDRESSES: dict[str, tuple[str, dict[str, Any]]] = {
    "organization": ("setup_organisation.page", {}),
    "email": ("setup_email.page", {}),
    "twilio": ("setup_twilio.page", {}),
    "test_text": ("sysadmin_harness.page", {"_anchor": "test-texts"}),
    "wording": ("admin_content.listing", {}),
    "registration": ("sysadmin_registration.page", {}),
    "people": ("admin_account_import.form", {}),
    "opt_outs": ("admin_imports.opt_outs_page", {}),
    "quiet_hours": ("sysadmin_config.edit", {"name": QUIET_HOURS}),
    "live": ("sysadmin_config.edit", {"name": "EnableSmsNotifications"}),
}
"""Endpoint and arguments of the page on which each step is done."""


@pages.get("")
@allow("sysadmin")
def page() -> str:
    return render_template("setup/checklist.html", **_states())


@pages.get("/Steps")
@allow("sysadmin")
def steps() -> str:
    return render_template("setup/_steps.html", **_states())


@pages.post("/Confirm/<key>")
@allow("sysadmin")
def confirm(key: str) -> ResponseReturnValue:
    try:
        checklist.confirm_step(key, now_ms())
    except ActionRefused:
        abort(404)
    return redirect(url_for(".page"), 303)


@pages.post("/Close")
@allow("sysadmin")
def close() -> ResponseReturnValue:
    checklist.close(now_ms())
    flash(_("The menu no longer shows the checklist. It stays available under Settings."), "info")
    return redirect(url_for("sysadmin_config.listing"), 303)


def _states() -> dict[str, Any]:
    states = checklist.step_states(now_ms())
    done = sum(state.is_done for state in states)
    if done == len(states):
        checklist.close(now_ms())
    urls = {key: url_for(endpoint, **arguments) for key, (endpoint, arguments) in _ADDRESSES.items()}
    return {"states": states, "done": done, "urls": urls, "is_in_menu": checklist.is_open()}
