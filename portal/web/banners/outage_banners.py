"""What is paused or down, with the reason and the way out."""

from collections.abc import Iterator

from flask import url_for

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules.phone import format_phone
from portal.core.translation import gettext as _
from portal.delivery import mail_server_status
from portal.gateways.rules.provider_codes import code_in_pause_reason, explain_error_code
from portal.messages.rules.lane_labels import LANE_NAMES, lane_label, override_opted_out_message
from portal.messages.tables import lane_state
from portal.monitoring.rules.alert_kinds import describe_alert, known_kind
from portal.monitoring.tables.alerts import announced_open_alerts
from portal.operations import health, webhook_rejections
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig
from portal.settings.tables import sending_numbers
from portal.web.banners.banner import Banner, diagnostics_banner, queues_banner


def outage_banners(gateway: GatewayConfig) -> Iterator[Banner]:
    """While texts are off, without what is about texts."""
    is_sms_visible = gateway.switches.feature_on
    if is_sms_visible:
        yield from _sms_banners(gateway)
    yield from _paused_lane_banners(is_sms_visible)
    yield from _outage_banners()
    yield from _alert_banners(is_sms_visible)


def _sms_banners(gateway: GatewayConfig) -> Iterator[Banner]:
    """Everything that holds back texts, except paused lanes."""
    if override_number := app_settings.opted_out_override(gateway.switches):
        text = override_opted_out_message(override_number)
        yield Banner("bad", _("Override number opted out"), text, "SmsOverrideNumber")
    for paused in sending_numbers.paused_senders():
        text = _(
            "Nothing is sent from %(number)s: %(reason)s. A system administrator can resume it.",
            number=_sender_label(paused.number),
            reason=_(paused.paused_reason).rstrip("."),
        )
        yield diagnostics_banner(_("Lane paused"), text, code_in_pause_reason(paused.paused_reason))
    for limited in sending_numbers.rate_limited_senders(now_ms()):
        text = _(
            "Nothing is sent from %(number)s: %(reason)s Texts wait, and none is lost.",
            number=_sender_label(limited.number),
            reason=explain_error_code(limited.limit_code).sentence,
        )
        yield queues_banner(_("Limit reached"), text, "senders", "wait", limited.limit_resets_at_ms, limited.limit_code)
    if provider := health.unavailable_provider(gateway, now_ms()):
        text = _("Texts wait, and none is lost. The portal tries one from time to time until it gets an answer.")
        yield diagnostics_banner(_("%(provider)s does not answer", provider=provider), text)
    for rejection in webhook_rejections.open_rejections(now_ms()):
        yield diagnostics_banner(_("Webhooks refused"), rejection.message)


def _paused_lane_banners(is_sms_visible: bool) -> Iterator[Banner]:
    """One banner if every lane is paused, otherwise one for each."""
    paused = [row for row in lane_state.all_lanes() if row.paused_at_ms and (row.channel != "sms" or is_sms_visible)]
    if len(paused) == len(LANE_NAMES) * (2 if is_sms_visible else 1):
        emails_wait = _("All emails wait. A system administrator can resume them.")
        all_wait = _("All emails and texts wait. A system administrator can resume them.")
        yield queues_banner(_("Everything is paused"), all_wait if is_sms_visible else emails_wait)
        return
    for row in paused:
        by_portal = _("It was paused by the portal or from the command line.")
        text = _(
            "Nothing in this lane is sent. %(cause)s A system administrator can resume it.",
            cause=_("It was paused by hand.") if row.paused_by_id else by_portal,
        )
        yield queues_banner(_("Lane paused: %(lane)s", lane=lane_label(row.channel, row.lane)), text)


def _outage_banners() -> Iterator[Banner]:
    if mail_server_status.mail_server_status().down_since_ms is not None:
        text = _("Emails wait, and none is lost. The portal keeps trying.")
        yield queues_banner(_("Mail server unreachable"), text, "mail")
    if problem := health.cached_queue_problem():
        text = _("%(problem)s Sending continues: workers poll the database.", problem=_(problem.reason))
        yield queues_banner(_("Queue down"), text)


def _alert_banners(is_sms_visible: bool) -> Iterator[Banner]:
    """Alerts about what no other banner tells, while it is so."""
    for alert in announced_open_alerts():
        kind = known_kind(alert.kind) if alert.passed_at_ms is None else None
        if kind and kind.needs_banner and (alert.subject != "sms" or is_sms_visible):
            described = describe_alert(alert.kind, alert.subject)
            tone, url = "wait" if alert.subject == "80" else "bad", url_for("sysadmin_alerts.page")
            yield Banner(tone, described.title, described.meaning, page_url=url, page_label=_("Alerts"))


def _sender_label(sender: str) -> str:
    return format_phone(sender, settings().region) if sender.startswith("+") else sender
