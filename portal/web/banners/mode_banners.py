"""Which mode is on: whom texts and emails reach."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules.phone import mask_phone
from portal.core.rules.routing import Mode, Switches
from portal.core.translation import gettext as _
from portal.delivery.email_claim import server_address
from portal.messages.rules.message_modes import describe_email_route, mask_email_address
from portal.settings import app_settings
from portal.settings.rules.configuration import Configuration
from portal.web.banners.banner import Banner


def mode_banners(configuration: Configuration, switches: Switches) -> Iterator[Banner]:
    yield _mode_banner(configuration, switches)
    yield from _email_override_banners(configuration)


def _mode_banner(configuration: Configuration, switches: Switches) -> Banner:
    """With where emails go, so that nobody mistakes a test of texts for a test of emails too."""
    emails = describe_email_route(configuration.email_route(now_ms()))
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
    return Banner("wait", _("Simulator"), _simulator_text(configuration), "EnableSmsNotifications")


def _simulator_text(configuration: Configuration) -> str:
    host = urlsplit(settings().twilio_api_url).netloc
    if configuration.email_route(now_ms()).override_on:
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


def _email_override_banners(configuration: Configuration) -> Iterator[Banner]:
    route, setting = configuration.email_route(now_ms()), "EnableEmailOverride"
    if route.has_no_destination:
        text = _("The email override is on but has no usable address, so emails wait. None is lost.")
        yield Banner("bad", _("Email override without an address"), text, "EmailOverrideAddress")
    elif route.override_on:
        label = _("Email override → %(address)s", address=mask_email_address(route.address or ""))
        text = _("Every email goes there instead of to the person’s own address, except emails about passwords.")
        until_ms = configuration.expires_at_ms_by_name.get(setting)
        yield Banner("wait", label, text, setting, until_ms, _("Emails then go to their recipients."))
