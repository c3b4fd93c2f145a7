"""The frame of every page: the menu, the banners, and what else each template may ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, g, render_template, request, url_for
from flask_security import current_user

from portal.consent.tables import inbound_messages
from portal.core.clock import now_ms
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules.message_modes import (
    EmailRoute,
    describe_send_effect,
)
from portal.messages.tables import communication_history
from portal.sends.tables.sends import count_sends_to_approve
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.rules.business_setting import BUSINESS
from portal.settings.rules.configuration import Configuration
from portal.setup.checklist import is_open as is_setup_open
from portal.web.access import allow, has_role
from portal.web.banners.banner import Banner
from portal.web.banners.mode_banners import mode_banners
from portal.web.banners.outage_banners import outage_banners
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
        N_("Topics"): "admin_topics.listing",
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
        N_("Registration"): "sysadmin_registration.page",
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


def has_public_pages() -> bool:
    """Whether every page links to the public pages about texts: once texts are on, or are being registered."""
    return is_sms_visible() or bool(current_configuration().json_object(BUSINESS))


def banners() -> list[Banner]:
    """The mode in force, then everything that is paused or down, with the reason."""
    configuration, gateway = current_configuration(), current_gateway()
    return [*mode_banners(configuration, gateway.switches), *outage_banners(gateway)]


def current_email_route() -> EmailRoute:
    return current_configuration().email_route(now_ms())


def describe_outcome(emails: int, texts: int) -> str:
    """Describe the effect of sending this many messages now, for buttons and confirmations."""
    return describe_send_effect(
        emails, texts if is_sms_visible() else 0, current_gateway().switches.mode, current_email_route()
    )


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
        "has_public_pages": has_public_pages,
        "describe_outcome": describe_outcome,
        "email_route": current_email_route,
        "has_role": has_role,
        "banners": banners,
    }


def _staff_pages() -> list[tuple[str, list[MenuPage]]]:
    """The groups of the sidebar that this person may see, with the page that the request belongs to marked."""
    groups = [(heading, pages) for (heading, role), pages in _STAFF_PAGES.items() if has_role(role)]
    if has_role("sysadmin") and is_setup_open():
        groups.insert(0, (N_("Start"), {N_("Finish setting up"): "setup_checklist.page"}))
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
