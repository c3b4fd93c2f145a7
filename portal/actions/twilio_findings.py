"""What is set and what Twilio tells of it: the account, the sender, and where it takes what comes in.

It always asks the live account: test credentials can only send (docs/twilio.md#test-credentials).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from portal.actions import settings as app_settings
from portal.clock import now_ms
from portal.context import settings
from portal.domain.app_config import Credentials, Gateway, SenderSettings
from portal.domain.diagnosis import Check
from portal.domain.diagnosis_address import INBOUND_PATH, STATUS_PATH, is_public, public_address
from portal.domain.twilio_account import OwnNumber, Service, Trouble, Wiring, type_by_number, type_by_twilio
from portal.gateways.twilio_account import AccountError, TwilioAccount

T = TypeVar("T")


@dataclass(frozen=True)
class Setup:
    """The settings at one moment: who carries the texts, the live gateway, and that of test mode.

    `unreadable` says of settings that are stored and cannot be unsealed why not.
    """

    provider: str
    live: Gateway
    test: Gateway
    test_mode: bool
    unreadable: Mapping[str, str]

    def why_missing(self, name: str) -> tuple[str, str]:
        """Why there is no value of a setting, and how to mend it."""
        if name in self.unreadable:
            return self.unreadable[name], "Put that key back into PORTAL_ENCRYPTION_KEY, or set it anew on AppConfig."
        return f"{name} is not set.", "Set it on AppConfig."


@dataclass(frozen=True)
class Findings:
    """What Twilio tells of the sender. `service` is None where none is set, `own` where there is no such number."""

    sender: SenderSettings
    service: Service | Trouble | None
    own: tuple[OwnNumber, Wiring] | Trouble | None

    @property
    def real_type(self) -> str:
        """As Twilio tells it, else by the digits; of a service without a number, as it is set."""
        if isinstance(self.own, tuple) and (told := type_by_twilio(self.own[0])):
            return told
        return type_by_number(self.sender.from_number) if self.sender.from_number else self.sender.number_type

    @property
    def wiring(self) -> Wiring | Trouble | None:
        """What decides where texts from handsets go: the service, unless it leaves that to its numbers."""
        if isinstance(self.service, Trouble):
            return self.service
        if self.service is not None and not self.service.number_decides:
            return self.service.wiring
        return self.own[1] if isinstance(self.own, tuple) else self.own


def setup() -> Setup:
    found, at_ms = app_settings.configuration(), now_ms()
    return Setup(
        found.provider,
        found.in_test_mode(False).gateway(at_ms),
        found.in_test_mode(True).gateway(at_ms),
        found.gateway(at_ms).switches.test_mode,
        found.unreadable,
    )


def account_of(credentials: Credentials) -> TwilioAccount:
    return TwilioAccount(settings().twilio_api_url, credentials)


def look_up(sender: SenderSettings, account: TwilioAccount) -> Findings:
    service = asked(lambda: account.service(sender.messaging_service_sid)) if sender.messaging_service_sid else None
    own = asked(lambda: account.own_number(sender.from_number)) if sender.from_number else None
    return Findings(sender, service, own)


def asked(question: Callable[[], T]) -> T | Trouble:
    try:
        return question()
    except AccountError as error:
        return error.trouble


def our_address() -> Check:
    """The public address, judged; a gateway inside this network may call inside it."""
    found = settings()
    return public_address(found.public_url, simulated=not is_public(urlsplit(found.twilio_api_url).hostname or ""))


def our_urls() -> tuple[str, str]:
    """Where texts from handsets and receipts are to go."""
    return f"{settings().public_url}{INBOUND_PATH}", f"{settings().public_url}{STATUS_PATH}"
