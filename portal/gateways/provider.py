"""The interface of an SMS provider (docs/providers.md)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from portal.gateways.outcomes import Outcome
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings

MAX_IN_FLIGHT = 64
"""Maximum of concurrent calls, each in its own thread."""


@dataclass(frozen=True)
class OutgoingText:
    """A text to send. `attempt_id` is part of the status callback's URL, and comes back signed."""

    to: str
    body: str
    attempt_id: str
    validity_seconds: int


@dataclass(frozen=True)
class ProviderMessage:
    """A message as the provider lists it. `status` is one of Twilio's; `date_created` is an RFC 2822 date.

    `price` is a decimal number in `price_unit`, negative for a charge, and empty until the provider knows it.
    """

    provider_id: str
    from_number: str
    to: str
    body: str
    status: str
    error_code: str
    date_created: str
    direction: str
    segments: int | None = None
    price: str = ""
    price_unit: str = ""


class ProviderUnavailable(Exception):
    """A read request to the provider failed; it is safe to repeat."""


class SmsGateway(Protocol):
    """Must be thread-safe."""

    def submit_message(self, credentials: Credentials, sender: SenderSettings, text: OutgoingText) -> Outcome:
        """Submit the text once. Never raises, and never repeats a request that may have been processed."""

    def get_message(self, credentials: Credentials, provider_id: str) -> ProviderMessage | None:
        """The message with its current status; None if it does not exist. Raises `ProviderUnavailable`."""

    def messages_to(self, credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        """Messages to a phone number, newest first. Raises `ProviderUnavailable`."""

    def inbound_messages(
        self, credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        """Inbound texts, newest first; `to_number` is the sending number. Raises `ProviderUnavailable`."""

    def messages_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[ProviderMessage]:
        """All messages sent in that period. Raises `ProviderUnavailable`."""


@dataclass(frozen=True)
class ProviderConfig:
    """Settings a gateway needs; `twilio_api_url` differs from Twilio's only for the simulator."""

    twilio_api_url: str
    public_url: str
    timeout_seconds: float


@dataclass(frozen=True)
class Provider:
    """A provider: the schema of its settings, its gateway, and whether the gateway is a simulator."""

    schema: ProviderSchema
    open: Callable[[ProviderConfig], SmsGateway]
    is_simulated: Callable[[ProviderConfig], bool] = lambda _config: False


class ProviderRouter:
    """Calls the provider that the credentials name, so that an attempt keeps its provider."""

    def __init__(self, providers: Mapping[str, Provider], config: ProviderConfig) -> None:
        self._gateways = {name: provider.open(config) for name, provider in providers.items()}

    def submit_message(self, credentials: Credentials, sender: SenderSettings, text: OutgoingText) -> Outcome:
        return self._gateways[credentials.provider].submit_message(credentials, sender, text)

    def get_message(self, credentials: Credentials, provider_id: str) -> ProviderMessage | None:
        return self._gateways[credentials.provider].get_message(credentials, provider_id)

    def messages_to(self, credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        return self._gateways[credentials.provider].messages_to(credentials, to)

    def inbound_messages(
        self, credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        return self._gateways[credentials.provider].inbound_messages(credentials, to_number, from_number)

    def messages_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[ProviderMessage]:
        return self._gateways[credentials.provider].messages_between(credentials, since, until)
