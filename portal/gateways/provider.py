"""What a carrier of texts must be able to do, whoever it is (docs/providers.md)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from portal.gateways.outcomes import Outcome
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings

MAX_IN_FLIGHT = 64
"""Calls that are made at the same time, each in a thread of its own."""


@dataclass(frozen=True)
class OutgoingText:
    """One text as it leaves. `attempt_id` travels in the status callback's address, and comes back signed."""

    to: str
    body: str
    attempt_id: str
    validity_seconds: int


@dataclass(frozen=True)
class ProviderMessage:
    """A message as the provider lists it. `status` is one of Twilio's words, `created` a date as in mails."""

    provider_id: str
    from_number: str
    to: str
    body: str
    status: str
    error_code: str
    date_created: str
    direction: str


class ProviderUnavailable(Exception):
    """A question to the provider was not answered; asking again later is harmless."""


class SmsGateway(Protocol):
    """Used from many threads at once."""

    def submit_message(self, credentials: Credentials, sender: SenderSettings, text: OutgoingText) -> Outcome:
        """Hand in one text, once. Never raises, and never tries a second time what may have been processed."""

    def get_message(self, credentials: Credentials, provider_id: str) -> ProviderMessage | None:
        """How the message stands now; None when there is no such message. Raises `NotAnswered`."""

    def messages_to(self, credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        """Messages to a number, newest first. Raises `NotAnswered`."""

    def inbound_messages(
        self, credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        """Texts from handsets, newest first; `at` is the number of ours they came to. Raises `NotAnswered`."""

    def messages_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[ProviderMessage]:
        """Messages sent in that time, whoever they went to. Raises `NotAnswered`."""


@dataclass(frozen=True)
class ProviderConfig:
    """What a gateway must know of where it runs; `twilio_api_url` is another than Twilio's for the simulator alone."""

    twilio_api_url: str
    public_url: str
    timeout_seconds: float


@dataclass(frozen=True)
class Provider:
    """One carrier: how its settings are written, how it is reached, and whether that is a simulator."""

    schema: ProviderSchema
    open: Callable[[ProviderConfig], SmsGateway]
    is_simulated: Callable[[ProviderConfig], bool] = lambda _surroundings: False


class ProviderRouter:
    """All providers as one gateway: credentials know whose they are, so an attempt keeps its provider."""

    def __init__(self, providers: Mapping[str, Provider], surroundings: ProviderConfig) -> None:
        self._gateways = {name: provider.open(surroundings) for name, provider in providers.items()}

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
