"""What is set and what Twilio tells of it: the account, the sender, and where it takes what comes in.

It always asks the live account: test credentials can only send (docs/twilio.md#test-credentials).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from portal.core.clock import now_ms
from portal.core.context import settings
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
from portal.gateways.twilio_account import AccountError, TwilioAccount
from portal.operations.rules.checks import CheckResult
from portal.operations.rules.public_url_checks import check_public_url, is_public_host
from portal.settings import app_settings
from portal.settings.rules.app_config import GatewayConfig

T = TypeVar("T")


@dataclass(frozen=True)
class GatewaySetup:
    """The settings at one moment: who carries the texts, the live gateway, and that of test mode.

    `unreadable` says of settings that are stored and cannot be unsealed why not.
    """

    provider: str
    live: GatewayConfig
    test: GatewayConfig
    test_mode: bool
    unreadable: Mapping[str, str]

    def explain_missing(self, name: str) -> tuple[str, str]:
        """Why there is no value of a setting, and how to mend it."""
        if name in self.unreadable:
            return self.unreadable[name], "Put that key back into PORTAL_ENCRYPTION_KEY, or set it anew on AppConfig."
        return f"{name} is not set.", "Set it on AppConfig."


@dataclass(frozen=True)
class SenderSnapshot:
    """Twilio's data about the sender. `service` is None if none is set, the number if the account has none."""

    sender: SenderSettings
    service: MessagingService | TwilioApiError | None
    find_own_number: tuple[TwilioNumber, WebhookConfig] | TwilioApiError | None

    @property
    def actual_type(self) -> str:
        """As Twilio tells it, else by the digits; of a service without a number, as it is set."""
        if isinstance(self.find_own_number, tuple) and (told := reported_number_type(self.find_own_number[0])):
            return told
        return infer_number_type(self.sender.from_number) if self.sender.from_number else self.sender.number_type

    @property
    def webhook_config(self) -> WebhookConfig | TwilioApiError | None:
        """What decides where texts from handsets go: the service, unless it leaves that to its numbers."""
        if isinstance(self.service, TwilioApiError):
            return self.service
        if self.service is not None and not self.service.use_inbound_webhook_on_number:
            return self.service.webhook_config
        return self.find_own_number[1] if isinstance(self.find_own_number, tuple) else self.find_own_number


def load_gateway_setup() -> GatewaySetup:
    found, at_ms = app_settings.configuration(), now_ms()
    return GatewaySetup(
        found.provider,
        found.with_test_mode(False).gateway(at_ms),
        found.with_test_mode(True).gateway(at_ms),
        found.gateway(at_ms).switches.test_mode,
        found.read_errors,
    )


def open_account(credentials: Credentials) -> TwilioAccount:
    return TwilioAccount(settings().twilio_api_url, credentials)


def fetch_sender(sender: SenderSettings, account: TwilioAccount) -> SenderSnapshot:
    service = (
        call_or_error(lambda: account.service(sender.messaging_service_sid)) if sender.messaging_service_sid else None
    )
    own = call_or_error(lambda: account.find_own_number(sender.from_number)) if sender.from_number else None
    return SenderSnapshot(sender, service, own)


def call_or_error(question: Callable[[], T]) -> T | TwilioApiError:
    try:
        return question()
    except AccountError as error:
        return error.error


def check_our_public_url() -> CheckResult:
    """The public address, judged; a gateway inside this network may call inside it."""
    found = settings()
    return check_public_url(
        found.public_url, simulated=not is_public_host(urlsplit(found.twilio_api_url).hostname or "")
    )


def webhook_urls() -> tuple[str, str]:
    """Where texts from handsets and receipts are to go."""
    return f"{settings().public_url}{INBOUND_WEBHOOK_PATH}", f"{settings().public_url}{STATUS_WEBHOOK_PATH}"
