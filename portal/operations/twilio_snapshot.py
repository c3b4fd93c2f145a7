"""The gateway settings, and what Twilio reports about the account, the sending numbers and their webhooks.

Always asks the live account, because test credentials can only send (docs/twilio.md#test-credentials).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_schema import Credentials, SenderSettings
from portal.gateways.rules.twilio_resources import (
    MessagingService,
    TwilioApiError,
    TwilioNumber,
    WebhookConfig,
    infer_number_type,
    reported_number_type,
)
from portal.gateways.rules.webhook_round_trip import INBOUND_WEBHOOK_PATH, STATUS_WEBHOOK_PATH
from portal.gateways.twilio_account import TwilioAccount
from portal.gateways.twilio_http import RequestFailed
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.public_url_checks import check_public_url, is_public_host
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig

T = TypeVar("T")


@dataclass(frozen=True)
class GatewaySetup:
    """`live` and `test` hold the settings without and with test mode.

    `read_errors` says for each stored setting that cannot be read why not.
    """

    provider: str
    live: GatewayConfig
    test: GatewayConfig
    test_mode: bool
    read_errors: Mapping[str, str]

    def explain_missing(self, name: str) -> tuple[str, str]:
        """Why the setting has no value, and the fix."""
        if name in self.read_errors:
            fix = _("Restore that key in PORTAL_ENCRYPTION_KEY, or set it again under Settings.")
            return _(self.read_errors[name]), fix
        return _("%(setting)s is not set.", setting=name), _("Set it under Settings.")


@dataclass(frozen=True)
class SenderSnapshot:
    """`service` is None if none is set; `own_number` is None if none is set or the account does not own it."""

    sender: SenderSettings
    service: MessagingService | TwilioApiError | None
    own_number: tuple[TwilioNumber, WebhookConfig] | TwilioApiError | None

    @property
    def actual_type(self) -> str:
        """As Twilio reports it, else by the digits; as set for a service without a number."""
        if isinstance(self.own_number, tuple) and (reported := reported_number_type(self.own_number[0])):
            return reported
        return infer_number_type(self.sender.from_number) if self.sender.from_number else self.sender.number_type

    @property
    def webhook_config(self) -> WebhookConfig | TwilioApiError | None:
        """The webhooks for texts from handsets: the service's, unless it defers to those of its numbers."""
        if isinstance(self.service, TwilioApiError):
            return self.service
        if self.service is not None and not self.service.use_inbound_webhook_on_number:
            return self.service.webhook_config
        return self.own_number[1] if isinstance(self.own_number, tuple) else self.own_number


def load_gateway_setup() -> GatewaySetup:
    config, at_ms = app_settings.configuration(), now_ms()
    return GatewaySetup(
        provider=config.provider,
        live=config.with_value("EnableSmsTestMode", False).gateway(at_ms),
        test=config.with_value("EnableSmsTestMode", True).gateway(at_ms),
        test_mode=config.gateway(at_ms).switches.test_mode,
        read_errors=config.read_errors,
    )


def open_account(credentials: Credentials) -> TwilioAccount:
    return TwilioAccount(settings().twilio_api_url, credentials)


def fetch_sender(sender: SenderSettings, account: TwilioAccount) -> SenderSnapshot:
    service_sid, number = sender.messaging_service_sid, sender.from_number
    service = call_or_error(lambda: account.service(service_sid)) if service_sid else None
    own_number = call_or_error(lambda: account.find_own_number(number)) if number else None
    return SenderSnapshot(sender, service, own_number)


def call_or_error(request: Callable[[], T]) -> T | TwilioApiError:
    try:
        return request()
    except RequestFailed as error:
        return error.error


def check_our_public_url() -> CheckResult:
    """A simulator in this network may call a private address."""
    simulated = not is_public_host(urlsplit(settings().twilio_api_url).hostname or "")
    return check_public_url(settings().public_url, simulated)


def webhook_urls() -> tuple[str, str]:
    """Our addresses for texts from handsets and for receipts."""
    return f"{settings().public_url}{INBOUND_WEBHOOK_PATH}", f"{settings().public_url}{STATUS_WEBHOOK_PATH}"
