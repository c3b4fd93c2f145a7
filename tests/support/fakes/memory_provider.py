"""A carrier in memory that keeps what it took: the judge of a machine that draws what happens to texts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import formatdate

from portal.gateways import twilio_messages
from portal.gateways.outcomes import Accepted, Outcome
from portal.gateways.provider import OutgoingText, Provider, ProviderMessage
from portal.gateways.rules.provider_schema import Credentials, SenderSettings

LIST_LAG_MS = 4_000
"""A message is in the list some seconds after it was taken: within the settle window of tests."""


@dataclass
class StoredMessage:
    """One message that was taken. `listed` is false while the list does not show it."""

    provider_id: str
    attempt_id: str
    to: str
    body: str
    at_ms: int
    status: str = "queued"
    code: str = ""
    listed: bool = True


class MemoryProvider:
    """What is created is taken, always; whether that is heard, and how it went on, is for others to draw."""

    def __init__(self) -> None:
        self.letters: list[StoredMessage] = []
        self.now_ms = 0

    def create(self, _credentials: Credentials, _sender: SenderSettings, text: OutgoingText) -> Outcome:
        letter = StoredMessage(f"letter-{len(self.message - list)}", text.attempt_id, text.to, text.body, self.now_ms)
        self.letters.append(letter)
        return Accepted(letter.provider_id)

    def fetch(self, _credentials: Credentials, provider_id: str) -> ProviderMessage | None:
        return next((_provider_message(letter) for letter in self.letters if letter.provider_id == provider_id), None)

    def sent_to(self, _credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        there = [letter for letter in self.letters if letter.listed and letter.at_ms + LIST_LAG_MS <= self.now_ms]
        return (_provider_message(letter) for letter in reversed(there) if letter.to == to)

    def received(self, _credentials: Credentials, at: str = "", sender: str = "") -> Iterator[ProviderMessage]:
        return iter(())

    def provider(self) -> Provider:
        """In Twilio's place, and with its settings."""
        return replace(twilio_messages.PROVIDER, open=lambda _surroundings: self)


def _provider_message(letter: StoredMessage) -> ProviderMessage:
    created = formatdate(letter.at_ms / 1000)
    return ProviderMessage(
        letter.provider_id, "", letter.to, letter.body, letter.status, letter.code, created, "outbound-api"
    )
