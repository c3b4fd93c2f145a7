"""What a carrier of texts must be able to do, whoever it is (docs/providers.md)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from portal.domain.app_config import Credentials, ProviderSchema, SenderSettings
from portal.gateways.outcomes import Outcome

MOST_IN_FLIGHT = 64
"""Calls that are made at the same time, each in a thread of its own."""


@dataclass(frozen=True)
class Text:
    """One text as it leaves. `attempt_id` travels in the status callback's address, and comes back signed."""

    to: str
    body: str
    attempt_id: str
    validity_seconds: int


@dataclass(frozen=True)
class Found:
    """A message as the provider lists it. `status` is one of Twilio's words, `created` a date as in mails."""

    provider_id: str
    sender: str
    to: str
    body: str
    status: str
    error_code: str
    created: str
    direction: str


class NotAnswered(Exception):
    """A question to the provider was not answered; asking again later is harmless."""


class SmsGateway(Protocol):
    """Used from many threads at once."""

    def create(self, credentials: Credentials, sender: SenderSettings, text: Text) -> Outcome:
        """Hand in one text, once. Never raises, and never tries a second time what may have been processed."""

    def fetch(self, credentials: Credentials, provider_id: str) -> Found | None:
        """How the message stands now; None when there is no such message. Raises `NotAnswered`."""

    def sent_to(self, credentials: Credentials, to: str) -> Iterator[Found]:
        """Messages to a number, newest first. Raises `NotAnswered`."""

    def received(self, credentials: Credentials, at: str = "", sender: str = "") -> Iterator[Found]:
        """Texts from handsets, newest first; `at` is the number of ours they came to. Raises `NotAnswered`."""

    def sent_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[Found]:
        """Messages sent in that time, whoever they went to. Raises `NotAnswered`."""


@dataclass(frozen=True)
class Surroundings:
    """What a gateway must know of where it runs; `twilio_api_url` is another than Twilio's for the simulator alone."""

    twilio_api_url: str
    public_url: str
    timeout_seconds: float


@dataclass(frozen=True)
class Provider:
    """One carrier: how its settings are written, how it is reached, and whether that is a simulator."""

    dialect: ProviderSchema
    open: Callable[[Surroundings], SmsGateway]
    is_simulated: Callable[[Surroundings], bool] = lambda _surroundings: False


class Switchboard:
    """All providers as one gateway: credentials know whose they are, so an attempt keeps its provider."""

    def __init__(self, providers: Mapping[str, Provider], surroundings: Surroundings) -> None:
        self._gateways = {name: provider.open(surroundings) for name, provider in providers.items()}

    def create(self, credentials: Credentials, sender: SenderSettings, text: Text) -> Outcome:
        return self._gateways[credentials.provider].create(credentials, sender, text)

    def fetch(self, credentials: Credentials, provider_id: str) -> Found | None:
        return self._gateways[credentials.provider].fetch(credentials, provider_id)

    def sent_to(self, credentials: Credentials, to: str) -> Iterator[Found]:
        return self._gateways[credentials.provider].sent_to(credentials, to)

    def received(self, credentials: Credentials, at: str = "", sender: str = "") -> Iterator[Found]:
        return self._gateways[credentials.provider].received(credentials, at, sender)

    def sent_between(self, credentials: Credentials, since: datetime, until: datetime) -> Iterator[Found]:
        return self._gateways[credentials.provider].sent_between(credentials, since, until)
