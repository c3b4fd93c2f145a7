"""The frame of every page: the menu for each role, and banners about the mode and what is paused."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, g, render_template, request, url_for
from flask_security import current_user

from portal.consent.tables import inbound_messages
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules.phone import format_phone, mask_phone
from portal.core.rules.routing import Mode, Switches
from portal.delivery import mail_server_status
from portal.delivery.email_claim import server_address
from portal.delivery.mail_server_status import MailServerStatus
from portal.gateways.rules.provider_codes import code_in_pause_reason, explain_error_code
from portal.messages.rules.lane_labels import lane_label, override_opted_out_message
from portal.messages.rules.message_modes import (
    EmailRoute,
    describe_mode_effect,
    describe_send_effect,
    mask_email_address,
)
from portal.messages.tables import communication_history, lane_state
from portal.operations import health, webhook_rejections
from portal.sends import provider_availability
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.rules.configuration import Configuration
from portal.web.access import allow, has_role

fragments = Blueprint("layout", __name__)


@dataclass(frozen=True)
class MenuItem:
    """One menu entry; `path_prefix` is what the addresses of the page and its sub-pages begin with."""

    label: str
    endpoint: str
    path_prefix: str


_LANE_PAUSED = "Lane paused"
_MENU_ITEMS = {
    "user": (
        MenuItem("My communications", "my_history.listing", "/MyAccount/CommunicationsHistory"),
        MenuItem("My phone numbers", "my_numbers.listing", "/MyAccount/PhoneNumbers"),
    ),
    "admin": (
        MenuItem("Sends", "admin_sends.listing", "/Admin/Sends"),
        MenuItem("Templates", "admin_templates.listing", "/Admin/Automations/Templates"),
        MenuItem("Content blocks", "admin_content.listing", "/Admin/ContentBlocks"),
        MenuItem("Communications", "admin_communications.listing", "/Admin/Communications"),
        MenuItem("Consent", "admin_consent.listing", "/Admin/Consent"),
        MenuItem("Accounts", "admin_accounts.listing", "/Admin/Accounts"),
    ),
    "sysadmin": (
        MenuItem("AppConfig", "sysadmin_config.listing", "/SysAdmin/AppConfig"),
        MenuItem("Test harness", "sysadmin_harness.page", "/SysAdmin/SmsNotificationsTestHarness"),
        MenuItem("Queues", "sysadmin_queues.page", "/SysAdmin/Queues"),
        MenuItem("Audit log", "sysadmin_audit.page", "/SysAdmin/AuditLog"),
    ),
}


@dataclass(frozen=True)
class Banner:
    """`setting` is the cause; it expires at `until_ms`, and `after_end` says what follows.

    Without a setting, `page_url` (labelled `page_label`) is where to fix it. `code` is Twilio's error code, if any.
    """

    tone: str
    label: str
    text: str
    setting: str = ""
    until_ms: int | None = None
    after_end: str = ""
    page_url: str = ""
    page_label: str = ""
    code: str = ""

    @property
    def help_url(self) -> str:
        """Twilio's page about the code; "" without one."""
        return explain_error_code(self.code).docs_url if self.code else ""


def init_app(app: Flask) -> None:
    app.context_processor(_template_context)


@fragments.get("/Admin/Mode")
@allow("admin")
def banners_fragment() -> str:
    return render_template("layout/_mode.html")


def current_configuration() -> Configuration:
    """The settings, read once per request."""
    if "configuration" not in g:
        g.configuration = app_settings.configuration()
    return g.configuration  # type: ignore[no-any-return]


def current_gateway() -> GatewayConfig:
    """The gateway, resolved once per request."""
    if "gateway" not in g:
        g.gateway = current_configuration().gateway(now_ms())
    return g.gateway  # type: ignore[no-any-return]


def is_sms_visible() -> bool:
    """While texts are off pages hide them; administrators still see consent (docs/consent-rules.md#feature-switch)."""
    return current_gateway().switches.feature_on


def banners() -> list[Banner]:
    """The mode in force, then everything that is paused or down, with the reason."""
    found = [_mode_banner(current_configuration(), current_gateway().switches), *_email_override_banners()]
    if is_sms_visible():
        found += _stopped_override_banners()
        found += [_paused_sender_banner(sender, reason) for sender, reason in app_settings.paused_sending_numbers()]
        found += [_limited_sender_banner(*resting) for resting in app_settings.limited_sending_numbers(now_ms())]
        found += _provider_down_banners()
        found += _rejected_webhook_banners()
    found += [
        _paused_lane_banner(row)
        for row in lane_state.all_lanes()
        if row.paused_at_ms is not None and _is_lane_visible(row)
    ]
    return found + _mail_down_banners(mail_server_status.mail_server_status()) + _queue_down_banners()


def current_email_route() -> EmailRoute:
    """Where emails go at this request."""
    return current_configuration().email_route(now_ms())


def describe_outcome(emails: int, texts: int) -> str:
    """The effect of sending so many now, for buttons and confirmations."""
    return describe_send_effect(
        emails, texts if is_sms_visible() else 0, current_gateway().switches.mode, current_email_route()
    )


def _email_override_banners() -> list[Banner]:
    """None while emails go to their recipients."""
    route, setting = current_email_route(), "EnableEmailOverride"
    if not route.override_on:
        return []
    if route.has_no_destination:
        words = "The email override is on and has no address that mail can go to, so emails wait. None is lost."
        return [Banner("bad", "Email override without an address", words, "EmailOverrideAddress")]
    words = "Every email goes there instead of to the person’s own address; mails about passwords go to their owner."
    label, then = (
        f"Email override → {mask_email_address(route.address or '')}",
        "Emails go to the people themselves then.",
    )
    until_ms = current_configuration().expires_at_ms_by_name.get(setting)
    return [Banner("wait", label, words, setting, until_ms, then if until_ms else "")]


def _stopped_override_banners() -> list[Banner]:
    """None unless the override number opted out."""
    number = app_settings.opted_out_override(current_gateway().switches)
    if number is None:
        return []
    return [Banner("bad", "Override number stopped", override_opted_out_message(number), "SmsOverrideNumber")]


def _provider_down_banners() -> list[Banner]:
    """None while the provider answers."""
    credentials, sender = current_gateway().credentials, current_gateway().sender
    if not (
        credentials
        and sender
        and provider_availability.is_provider_down(sender.sender_assignment.sender_keys, now_ms())
    ):
        return []
    words = "Texts wait. None is lost: one is tried now and then until it answers."
    href = url_for("sysadmin_harness.page", _anchor="doctor")
    return [Banner("bad", f"{credentials.provider} does not answer", words, page_url=href, page_label="Diagnostics")]


def _rejected_webhook_banners() -> list[Banner]:
    """None while webhook calls are accepted, nor for calls a stranger may have forged."""
    href = url_for("sysadmin_harness.page", _anchor="doctor")
    return [
        Banner("bad", "Webhooks refused", one.message, page_url=href, page_label="Diagnostics")
        for one in webhook_rejections.open_rejections(now_ms())
    ]


def _mail_down_banners(mail_server: MailServerStatus) -> list[Banner]:
    """None while the mail server accepts mail."""
    if mail_server.down_since_ms is None:
        return []
    words = "It takes no mail, so emails wait. None is lost: it is tried again by itself."
    return [
        Banner(
            "bad",
            "Mail server away",
            words,
            page_url=url_for("sysadmin_queues.page", _anchor="mail"),
            page_label="Queues",
        )
    ]


def _queue_down_banners() -> list[Banner]:
    """None while the queue accepts work."""
    problem = health.cached_queue_problem()
    if problem is None:
        return []
    words = f"{problem.reason} Sends go on: workers look into the database by themselves."
    return [Banner("bad", "Queue away", words, page_url=url_for("sysadmin_queues.page"), page_label="Queues")]


def _paused_sender_banner(sender: str, reason: str) -> Banner:
    """Paused by an account error; the diagnostics page checks Twilio and resumes."""
    words = f"Nothing leaves from {_sender_label(sender)}: {reason.rstrip('.')}. A system administrator can resume it."
    href = url_for("sysadmin_harness.page", _anchor="doctor")
    return Banner(
        "bad", _LANE_PAUSED, words, page_url=href, page_label="Diagnostics", code=code_in_pause_reason(reason)
    )


def _limited_sender_banner(sender: str, code: str, until_ms: int) -> Banner:
    """A used-up limit; sending resumes by itself."""
    why = explain_error_code(code).sentence
    words = f"Nothing leaves from {_sender_label(sender)}: {why} Texts wait, and none is lost."
    href = url_for("sysadmin_queues.page", _anchor="senders")
    return Banner("wait", "Limit used up", words, until_ms=until_ms, page_url=href, page_label="Queues", code=code)


def _paused_lane_banner(row: lane_state.LaneState) -> Banner:
    """Paused by hand, or because the database was restored."""
    why = "by hand" if row.paused_by_id else "by the portal or from the shell"
    label = f"{_LANE_PAUSED}: {lane_label(row.channel, row.lane)}"
    words = f"None of them leaves. It was paused {why}; a system administrator can resume it."
    return Banner("bad", label, words, page_url=url_for("sysadmin_queues.page"), page_label="Queues")


def _is_lane_visible(row: lane_state.LaneState) -> bool:
    return row.channel != "sms" or is_sms_visible()


def _template_context() -> dict[str, Any]:
    return {
        "organisation": settings().organisation,
        "menus": _menus,
        "is_current": lambda item: request.path.startswith(item.path_prefix),
        "replies_to_review_count": inbound_messages.count_replies_to_review,
        "unread_count": lambda: communication_history.unread_count(current_user.id, is_sms_visible()),
        "is_sms_visible": is_sms_visible,
        "describe_outcome": describe_outcome,
        "email_route": current_email_route,
        "has_role": has_role,
        "banners": banners,
    }


def _menus() -> list[tuple[str, tuple[MenuItem, ...]]]:
    groups = (("Administration", "admin"), ("System", "sysadmin"), ("My account", "user"))
    return [(heading, _MENU_ITEMS[role]) for heading, role in groups if has_role(role)]


def _mode_banner(found: Configuration, switches: Switches) -> Banner:
    if switches.mode == Mode.OFF:
        return Banner("off", "SMS off", "Everything goes by email only.", "EnableSmsNotifications")
    if not switches.configured:
        missing = next(iter(found.missing_settings(now_ms())), "")
        return Banner("bad", "SMS not set up", "The gateway's settings are incomplete, so no text leaves.", missing)
    if switches.mode in (Mode.TEST, Mode.TEST_OVERRIDE):
        return _with_end_time(found, Banner("wait", "Test mode", _test_mode_text(switches), "EnableSmsTestMode"))
    if switches.mode == Mode.OVERRIDE:
        words = f"Every text goes there instead of to the person’s own number. {_email_route_text()}"
        label = f"Override → {mask_phone(switches.override_number or '')}"
        return _with_end_time(found, Banner("wait", label, words, "EnableSmsOverrideNumber"))
    if not app_settings.is_simulated(found):
        return Banner("ok", "Live", f"Texts reach real phones. {_email_route_text()}", "EnableSmsNotifications")
    where = urlsplit(settings().twilio_api_url).netloc
    emails = "" if current_email_route().override_on else f" Emails go to the mail server at {server_address()}."
    words = f"Texts go to {where} instead of Twilio, so no real phone rings.{emails}"
    return Banner("wait", "Simulator", words, "EnableSmsNotifications")


def _test_mode_text(switches: Switches) -> str:
    to = f", addressed to {mask_phone(switches.override_number)}" if switches.override_number else ""
    return f"Texts are made with test credentials{to}; no real text leaves. {_email_route_text()}"


def _email_route_text() -> str:
    """A rehearsal of texts is none of emails: people take one for the other."""
    return describe_mode_effect(Mode.LIVE, current_email_route()).partition(";")[0] + "."


def _with_end_time(found: Configuration, words: Banner) -> Banner:
    """Add when the setting expires, and a warning if texts go live then."""
    until_ms = found.expires_at_ms_by_name.get(words.setting)
    live = until_ms is not None and found.is_sms_live(until_ms) and not app_settings.is_simulated(found)
    return replace(words, until_ms=until_ms, after_end="Texts go LIVE then." if live else "")


def _sender_label(sender: str) -> str:
    return format_phone(sender, settings().region) if sender.startswith("+") else sender
