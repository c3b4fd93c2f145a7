"""What every provider's settings come to: credentials, sender settings, and the schema they are written in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from portal.core.rules.sender_assignment import SenderAssignment
from portal.core.rules.setting_schema import SettingSchema


@dataclass(frozen=True)
class Credentials:
    """`user` and `password` of HTTP Basic; `signing_tokens` check webhooks, newest first (docs/twilio.md#api-keys)."""

    account_sid: str
    user: str
    password: str
    signing_tokens: tuple[str, ...] = ()
    provider: str = "Twilio"

    def __repr__(self) -> str:
        return f"Credentials({self.provider}, {self.account_sid})"


@dataclass(frozen=True)
class SenderSettings:
    """`number_type` is a key of `pacing.RATES`; `auto_replied_keywords` the words that the provider answers by itself.

    Every one of `additional_numbers` is of the same type, and has the same pace again.
    """

    from_number: str
    messaging_service_sid: str
    segments_per_second: float
    number_type: str = "long_code"
    auto_replied_keywords: frozenset[str] = frozenset({"STOP", "HELP"})
    additional_numbers: tuple[str, ...] = ()
    has_explicit_type: bool = True
    """Otherwise it was worked out from the numbers."""

    @property
    def sender_key(self) -> str:
        """What a pace belongs to: the service if there is one, else the number."""
        return self.messaging_service_sid or self.from_number

    @property
    def from_numbers(self) -> tuple[str, ...]:
        return (self.from_number, *self.additional_numbers)

    @cached_property
    def individual_senders(self) -> tuple["SenderSettings", ...]:
        """One for each number that texts come from; a messaging service is one, whatever numbers it has."""
        return tuple(replace(self, from_number=number, additional_numbers=()) for number in self.from_numbers)

    @property
    def total_segments_per_second(self) -> float:
        """In segments a second, of all numbers together, if all have as much to send."""
        return self.segments_per_second * len(self.from_numbers)

    @cached_property
    def sender_assignment(self) -> SenderAssignment:
        return SenderAssignment(tuple(one.sender_key for one in self.individual_senders))


@dataclass(frozen=True)
class ProviderSchema:
    """How one provider's credentials and senders are written, and what they mean. The functions take sound values."""

    name: str
    credentials_schema: SettingSchema
    sender_schema: SettingSchema
    build_credentials: Callable[[Mapping[str, Any]], Credentials]
    build_sender_settings: Callable[[Mapping[str, Any]], SenderSettings]
