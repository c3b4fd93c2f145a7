"""An in-memory SMS provider that keeps every accepted message: the reference for the delivery state machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import formatdate

from portal.gateways import twilio_messages
from portal.gateways.outcomes import Accepted, Outcome
from portal.gateways.provider import OutgoingText, Provider, ProviderMessage
from portal.gateways.rules.provider_schema import Credentials, SenderSettings

LIST_LAG_MS = 4_000
"""A message appears in the list some seconds after it was accepted: within the settle window of tests."""


@dataclass
class StoredMessage:
    """An accepted message. While `listed` is false, the list does not show it."""

    provider_id: str
    attempt_id: str
    to: str
    body: str
    at_ms: int
    status: str = "queued"
    code: str = ""
    listed: bool = True


class MemoryProvider:
    """Accepts every message. The state machine decides whether the response arrives and what happens next."""

    def __init__(self) -> None:
        self.messages: list[StoredMessage] = []
        self.now_ms = 0

    def submit_message(self, _credentials: Credentials, _sender: SenderSettings, text: OutgoingText) -> Outcome:
        message = StoredMessage(f"message-{len(self.messages)}", text.attempt_id, text.to, text.body, self.now_ms)
        self.messages.append(message)
        return Accepted(message.provider_id)

    def get_message(self, _credentials: Credentials, provider_id: str) -> ProviderMessage | None:
        return next(
            (_provider_message(message) for message in self.messages if message.provider_id == provider_id), None
        )

    def messages_to(self, _credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        listed = [message for message in self.messages if message.listed and message.at_ms + LIST_LAG_MS <= self.now_ms]
        return (_provider_message(message) for message in reversed(listed) if message.to == to)

    def inbound_messages(
        self, _credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        return iter(())

    def messages_between(
        self, _credentials: Credentials, since: datetime, until: datetime
    ) -> Iterator[ProviderMessage]:
        return iter(())

    def provider(self) -> Provider:
        """Takes Twilio's place, with Twilio's settings schema."""
        return replace(twilio_messages.PROVIDER, open=lambda _config: self)


def _provider_message(message: StoredMessage) -> ProviderMessage:
    created = formatdate(message.at_ms / 1000)
    return ProviderMessage(
        message.provider_id, "", message.to, message.body, message.status, message.code, created, "outbound-api"
    )
