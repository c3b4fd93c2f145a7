"""What every page shows around its own content: the menu of a role, and the mode in which texts leave now."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, g, render_template, request
from flask_security import current_user

from portal.actions import settings as app_settings
from portal.config import TWILIO_API_URL
from portal.context import settings
from portal.domain.app_config import Gateway
from portal.domain.phone import friendly, masked
from portal.domain.routing import Mode, Switches
from portal.models import history
from portal.web.access import allow, has_role

fragments = Blueprint("layout", __name__)


@dataclass(frozen=True)
class Place:
    """One entry of the menu; `endpoint` leads to it, `under` is the address that it and its sub-pages begin with."""

    words: str
    endpoint: str
    under: str


_PLACES = {
    "user": (
        Place("My communications", "my_history.listing", "/MyAccount/CommunicationsHistory"),
        Place("My phone numbers", "my_numbers.listing", "/MyAccount/PhoneNumbers"),
    ),
    "admin": (
        Place("Sends", "admin_sends.listing", "/Admin/Sends"),
        Place("Templates", "admin_templates.listing", "/Admin/Automations/Templates"),
        Place("Content blocks", "admin_content.listing", "/Admin/ContentBlocks"),
        Place("Communications", "admin_communications.listing", "/Admin/Communications"),
        Place("Accounts", "admin_accounts.listing", "/Admin/Accounts"),
    ),
    "sysadmin": (Place("Test harness", "sysadmin_harness.page", "/SysAdmin/SmsNotificationsTestHarness"),),
}


@dataclass(frozen=True)
class ModeWords:
    tone: str
    label: str
    explanation: str


def init_app(app: Flask) -> None:
    app.context_processor(_for_all_pages)


@fragments.get("/Admin/Mode")
@allow("admin")
def mode() -> str:
    return render_template("layout/_mode.html")


def gateway_now() -> Gateway:
    """The gateway's settings, read once for a request."""
    if "gateway" not in g:
        g.gateway = app_settings.gateway()
    return g.gateway  # type: ignore[no-any-return]


def sms_shown() -> bool:
    """Rule 1: while the feature is off, nothing of SMS shows."""
    return gateway_now().switches.feature_on


def modes() -> list[ModeWords]:
    """What the strip says: the mode in force, then every lane that stands still, with why."""
    found = [_mode_words(gateway_now().switches)]
    if not sms_shown():
        return found
    for sender, reason in app_settings.paused_lanes():
        found.append(ModeWords("bad", "Lane paused", _paused_words(sender, reason)))
    return found


def _paused_words(sender: str, reason: str) -> str:
    return (
        f"Nothing leaves from {_sender(sender)}: {reason.rstrip('.')}. "
        "Correct the gateway's settings; saving them lets texts go again."
    )


def _for_all_pages() -> dict[str, Any]:
    return {
        "organisation": settings().organisation,
        "menus": _menus,
        "here": lambda place: request.path.startswith(place.under),
        "unread": lambda: history.unread_count(current_user.id),
        "sms_shown": sms_shown,
        "has_role": has_role,
        "modes": modes,
    }


def _menus() -> list[tuple[str, tuple[Place, ...]]]:
    groups = (("Administration", "admin"), ("System", "sysadmin"), ("My account", "user"))
    return [(heading, _PLACES[role]) for heading, role in groups if has_role(role)]


def _mode_words(switches: Switches) -> ModeWords:
    if switches.mode == Mode.OFF:
        return ModeWords("off", "SMS off", "Everything goes by email only.")
    if not switches.configured:
        return ModeWords("bad", "SMS not set up", "The gateway's settings are incomplete, so no text leaves.")
    if switches.mode in (Mode.TEST, Mode.TEST_OVERRIDE):
        return ModeWords("wait", "Test mode", "Texts are made with test credentials; nothing real leaves.")
    if switches.mode == Mode.OVERRIDE:
        return ModeWords("wait", "Override", f"Every text goes to {masked(switches.override_number or '')} instead.")
    api_url = settings().twilio_api_url
    if api_url == TWILIO_API_URL:
        return ModeWords("ok", "Live", "Texts reach real phones.")
    where = urlsplit(api_url).netloc
    return ModeWords("wait", "Simulator", f"Texts go to {where} instead of Twilio, so no real phone rings.")


def _sender(sender: str) -> str:
    return friendly(sender, settings().region) if sender.startswith("+") else sender
