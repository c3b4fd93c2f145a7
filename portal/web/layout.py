"""The frame of every page: the menu, and banners about the mode and about what is paused or down."""

from collections.abc import Iterator, Mapping, Sequence
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
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.delivery import mail_server_status
from portal.delivery.email_claim import server_address
from portal.gateways.rules.provider_codes import code_in_pause_reason, explain_error_code
from portal.messages.rules.lane_labels import LANE_NAMES, lane_label, override_opted_out_message
from portal.messages.rules.message_modes import (
    EmailRoute,
    describe_email_route,
    describe_send_effect,
    mask_email_address,
)
from portal.messages.tables import communication_history, lane_state
from portal.monitoring.rules.alert_kinds import describe_alert, known_kind
from portal.monitoring.tables.alerts import announced_open_alerts
from portal.operations import health, webhook_rejections
from portal.sends.tables.sends import count_sends_to_approve
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.rules.configuration import Configuration
from portal.settings.tables import sending_numbers
from portal.web.access import allow, has_role
from portal.web.organisation_files import accent_url, page_organisation

fragments = Blueprint("layout", __name__)


DASHBOARD = "admin_dashboard.page"
_STAFF_PAGES = {
    (N_("Messages"), "admin"): {
        N_("Dashboard"): DASHBOARD,
        N_("Sends"): "admin_sends.listing",
        N_("Schedules"): "admin_schedules.listing",
        N_("Audiences"): "admin_audiences.listing",
        N_("Templates"): "admin_templates.listing",
        N_("Content blocks"): "admin_content.listing",
        N_("Communications"): "admin_communications.listing",
        N_("Replies"): "admin_replies.listing",
    },
    (N_("People"), "admin"): {
        N_("Accounts"): "admin_accounts.listing",
        N_("Attributes"): "admin_attributes.listing",
        N_("Consent"): "admin_consent.listing",
    },
    (N_("System"), "sysadmin"): {
        N_("Settings"): "sysadmin_config.listing",
        N_("Test harness"): "sysadmin_harness.page",
        N_("Queues"): "sysadmin_queues.page",
        N_("Alerts"): "sysadmin_alerts.page",
        N_("Audit log"): "sysadmin_audit.page",
        N_("Retention"): "sysadmin_retention.page",
        N_("Signing key"): "sysadmin_signing_key.page",
    },
}
"""Page endpoints by label, for each heading and role."""
_OWN_PAGES = {
    N_("Communications History"): "my_history.listing",
    N_("Phone numbers"): "my_numbers.listing",
    N_("Personal data"): "my_data.page",
}


@dataclass(frozen=True)
class MenuPage:
    label: str
    endpoint: str
    is_current: bool

    @property
    def url(self) -> str:
        return url_for(self.endpoint)


@dataclass(frozen=True)
class Banner:
    """`setting` is the cause; it expires at `until_ms`, and `after_end` says what follows.

    `page_url` (labelled `page_label`) is where to fix anything else. `code` is Twilio's error code, if any.
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
    """While texts are off, pages hide them, but administrators see consent (docs/consent-rules.md#feature-switch)."""
    return current_gateway().switches.feature_on


def banners() -> list[Banner]:
    """The mode in force, then everything that is paused or down, with the reason."""
    return [
        _mode_banner(current_configuration(), current_gateway().switches),
        *_email_override_banners(),
        *(_sms_banners() if is_sms_visible() else ()),
        *_paused_lane_banners(),
        *_outage_banners(),
        *_alert_banners(),
    ]


def current_email_route() -> EmailRoute:
    return current_configuration().email_route(now_ms())


def describe_outcome(emails: int, texts: int) -> str:
    """Describe the effect of sending this many messages now, for buttons and confirmations."""
    return describe_send_effect(
        emails, texts if is_sms_visible() else 0, current_gateway().switches.mode, current_email_route()
    )


def _email_override_banners() -> Iterator[Banner]:
    route, setting = current_email_route(), "EnableEmailOverride"
    if route.has_no_destination:
        text = _("The email override is on but has no usable address, so emails wait. None is lost.")
        yield Banner("bad", _("Email override without an address"), text, "EmailOverrideAddress")
    elif route.override_on:
        label = _("Email override → %(address)s", address=mask_email_address(route.address or ""))
        text = _("Every email goes there instead of to the person’s own address, except emails about passwords.")
        until_ms = current_configuration().expires_at_ms_by_name.get(setting)
        yield Banner("wait", label, text, setting, until_ms, _("Emails then go to their recipients."))


def _sms_banners() -> Iterator[Banner]:
    """Everything that holds back texts, except paused lanes."""
    if override_number := app_settings.opted_out_override(current_gateway().switches):
        text = override_opted_out_message(override_number)
        yield Banner("bad", _("Override number opted out"), text, "SmsOverrideNumber")
    for paused in sending_numbers.paused_senders():
        text = _(
            "Nothing is sent from %(number)s: %(reason)s. A system administrator can resume it.",
            number=_sender_label(paused.number),
            reason=_(paused.paused_reason).rstrip("."),
        )
        yield _diagnostics_banner(_("Lane paused"), text, code_in_pause_reason(paused.paused_reason))
    for limited in sending_numbers.rate_limited_senders(now_ms()):
        text = _(
            "Nothing is sent from %(number)s: %(reason)s Texts wait, and none is lost.",
            number=_sender_label(limited.number),
            reason=explain_error_code(limited.limit_code).sentence,
        )
        yield _queues_banner(
            _("Limit reached"), text, "senders", "wait", limited.limit_resets_at_ms, limited.limit_code
        )
    if provider := health.unavailable_provider(current_gateway(), now_ms()):
        text = _("Texts wait, and none is lost. The portal tries one from time to time until it gets an answer.")
        yield _diagnostics_banner(_("%(provider)s does not answer", provider=provider), text)
    for rejection in webhook_rejections.open_rejections(now_ms()):
        yield _diagnostics_banner(_("Webhooks refused"), rejection.message)


def _paused_lane_banners() -> Iterator[Banner]:
    """One banner if every lane is paused, otherwise one for each."""
    is_visible = is_sms_visible()
    paused = [row for row in lane_state.all_lanes() if row.paused_at_ms and (row.channel != "sms" or is_visible)]
    if len(paused) == len(LANE_NAMES) * (2 if is_visible else 1):
        emails_wait = _("All emails wait. A system administrator can resume them.")
        all_wait = _("All emails and texts wait. A system administrator can resume them.")
        yield _queues_banner(_("Everything is paused"), all_wait if is_visible else emails_wait)
        return
    for row in paused:
        by_portal = _("It was paused by the portal or from the command line.")
        text = _(
            "Nothing in this lane is sent. %(cause)s A system administrator can resume it.",
            cause=_("It was paused by hand.") if row.paused_by_id else by_portal,
        )
        yield _queues_banner(_("Lane paused: %(lane)s", lane=lane_label(row.channel, row.lane)), text)


def _outage_banners() -> Iterator[Banner]:
    if mail_server_status.mail_server_status().down_since_ms is not None:
        text = _("Emails wait, and none is lost. The portal keeps trying.")
        yield _queues_banner(_("Mail server unreachable"), text, "mail")
    if problem := health.cached_queue_problem():
        text = _("%(problem)s Sending continues: workers poll the database.", problem=_(problem.reason))
        yield _queues_banner(_("Queue down"), text)


def _alert_banners() -> Iterator[Banner]:
    """Alerts about what no other banner tells."""
    for alert in announced_open_alerts():
        kind = known_kind(alert.kind)
        if kind and kind.needs_banner and (alert.subject != "sms" or is_sms_visible()):
            described = describe_alert(alert.kind, alert.subject)
            tone, url = "wait" if alert.subject == "80" else "bad", url_for("sysadmin_alerts.page")
            yield Banner(tone, described.title, described.meaning, page_url=url, page_label=_("Alerts"))


def _diagnostics_banner(label: str, text: str, code: str = "") -> Banner:
    url = url_for("sysadmin_harness.page", _anchor="doctor")
    return Banner("bad", label, text, page_url=url, page_label=_("Diagnostics"), code=code)


def _queues_banner(
    label: str, text: str, anchor: str | None = None, tone: str = "bad", until_ms: int | None = None, code: str = ""
) -> Banner:
    url = url_for("sysadmin_queues.page", _anchor=anchor)
    return Banner(tone, label, text, until_ms=until_ms, page_url=url, page_label=_("Queues"), code=code)


def _template_context() -> dict[str, Any]:
    return {
        "organisation": page_organisation,
        "accent_url": accent_url,
        "staff_pages": _staff_pages,
        "own_pages": _own_pages,
        "replies_to_review_count": inbound_messages.count_replies_to_review,
        "sends_to_approve_count": count_sends_to_approve,
        "unread_count": lambda: communication_history.unread_count(current_user.id, is_sms_visible()),
        "is_sms_visible": is_sms_visible,
        "describe_outcome": describe_outcome,
        "email_route": current_email_route,
        "has_role": has_role,
        "banners": banners,
    }


def _staff_pages() -> list[tuple[str, list[MenuPage]]]:
    """The groups of the sidebar that this person may see, with the page that the request belongs to marked."""
    groups = [(heading, pages) for (heading, role), pages in _STAFF_PAGES.items() if has_role(role)]
    current = _current_endpoint([endpoint for _heading, pages in groups for endpoint in pages.values()])
    return [(_(heading), _menu_pages(pages, current)) for heading, pages in groups]


def _own_pages() -> list[MenuPage]:
    return _menu_pages(_OWN_PAGES, _current_endpoint(list(_OWN_PAGES.values())))


def _menu_pages(endpoints: Mapping[str, str], current: str) -> list[MenuPage]:
    return [MenuPage(_(label), endpoint, endpoint == current) for label, endpoint in endpoints.items()]


def _current_endpoint(endpoints: Sequence[str]) -> str:
    """The page whose address starts the address of the request; of several, the longest.

    That of the dashboard starts the addresses of all other pages, so it must be the whole.
    """
    matching = [endpoint for endpoint in endpoints if request.path.startswith(url_for(endpoint))]
    if request.path != url_for(DASHBOARD):
        matching = [endpoint for endpoint in matching if endpoint != DASHBOARD]
    return max(matching, key=lambda endpoint: len(url_for(endpoint)), default="")


def _mode_banner(configuration: Configuration, switches: Switches) -> Banner:
    """With where emails go, so that nobody mistakes a test of texts for a test of emails too."""
    emails = describe_email_route(current_email_route())
    if switches.mode == Mode.OFF:
        return Banner("off", _("SMS off"), _("Messages go by email only."), "EnableSmsNotifications")
    if not switches.configured:
        missing = next(iter(configuration.missing_settings(now_ms())), "")
        text = _("The gateway settings are incomplete, so no texts are sent.")
        return Banner("bad", _("SMS not set up"), text, missing)
    if switches.mode in (Mode.TEST, Mode.TEST_OVERRIDE):
        text = _("Texts use test credentials, so none reaches a phone.")
        if switches.override_number:
            number = mask_phone(switches.override_number)
            text = _(
                "Texts use test credentials and are addressed to %(number)s, so none reaches a phone.", number=number
            )
        return _with_end_time(configuration, Banner("wait", _("Test mode"), f"{text} {emails}", "EnableSmsTestMode"))
    if switches.mode == Mode.OVERRIDE:
        text = _("Every text goes there instead of to the person’s own number.")
        label = _("Override → %(number)s", number=mask_phone(switches.override_number or ""))
        return _with_end_time(configuration, Banner("wait", label, f"{text} {emails}", "EnableSmsOverrideNumber"))
    if not app_settings.is_simulated(configuration):
        text = _("Texts reach real phones.")
        return Banner("ok", _("Live"), f"{text} {emails}", "EnableSmsNotifications")
    return Banner("wait", _("Simulator"), _simulator_text(), "EnableSmsNotifications")


def _simulator_text() -> str:
    host = urlsplit(settings().twilio_api_url).netloc
    if current_email_route().override_on:
        return _("Texts go to %(host)s instead of Twilio and reach no phone.", host=host)
    return _(
        "Texts go to %(host)s instead of Twilio and reach no phone. Emails go to the mail server at %(address)s.",
        host=host,
        address=server_address(),
    )


def _with_end_time(configuration: Configuration, banner: Banner) -> Banner:
    """Add when the setting expires, and a warning if texts go live then."""
    until_ms = configuration.expires_at_ms_by_name.get(banner.setting)
    is_live = until_ms is not None and configuration.is_live("sms", until_ms)
    warns = is_live and not app_settings.is_simulated(configuration)
    return replace(banner, until_ms=until_ms, after_end=_("Texts go LIVE then.") if warns else "")


def _sender_label(sender: str) -> str:
    return format_phone(sender, settings().region) if sender.startswith("+") else sender
