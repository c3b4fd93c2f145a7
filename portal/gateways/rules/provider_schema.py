"""Credentials and sender settings, as every provider has them, and the schema of these settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from portal.core.rules.sender_assignment import SenderAssignment
from portal.core.rules.setting_schema import SettingSchema


@dataclass(frozen=True)
class Credentials:
    """`user` and `password` are for HTTP Basic, `signing_tokens` verify webhooks (docs/twilio.md#api-keys)."""

    account_sid: str
    user: str
    password: str
    signing_tokens: tuple[str, ...] = ()
    provider: str = "Twilio"

    def __repr__(self) -> str:
        return f"Credentials({self.provider}, {self.account_sid})"


@dataclass(frozen=True)
class SenderSettings:
    """`number_type` is a key of `pacing.RATES`. The provider itself replies to the `auto_replied_keywords`.

    `additional_numbers` are of the same type, and each has the same rate.
    """

    from_number: str
    messaging_service_sid: str
    segments_per_second: float
    number_type: str = "long_code"
    auto_replied_keywords: frozenset[str] = frozenset({"STOP", "HELP"})
    additional_numbers: tuple[str, ...] = ()
    has_explicit_type: bool = True
    """False if the type was inferred from the phone numbers."""

    @property
    def sender_key(self) -> str:
        """The key of a rate: the messaging service if there is one, else the sending number."""
        return self.messaging_service_sid or self.from_number

    @property
    def from_numbers(self) -> tuple[str, ...]:
        return (self.from_number, *self.additional_numbers)

    @cached_property
    def individual_senders(self) -> tuple["SenderSettings", ...]:
        """One for each sending number; a messaging service counts as one."""
        return tuple(replace(self, from_number=number, additional_numbers=()) for number in self.from_numbers)

    @property
    def total_segments_per_second(self) -> float:
        """The rate of all sending numbers together, if the traffic is spread evenly."""
        return self.segments_per_second * len(self.from_numbers)

    @cached_property
    def sender_assignment(self) -> SenderAssignment:
        return SenderAssignment(tuple(sender.sender_key for sender in self.individual_senders))


@dataclass(frozen=True)
class ProviderSchema:
    """The schemas of a provider's settings; the `build` functions take valid values."""

    name: str
    credentials_schema: SettingSchema
    sender_schema: SettingSchema
    build_credentials: Callable[[Mapping[str, Any]], Credentials]
    build_sender_settings: Callable[[Mapping[str, Any]], SenderSettings]
