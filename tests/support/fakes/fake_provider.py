"""A second SMS provider for tests, in one module as docs/providers.md asks."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.gateways.outcomes import Accepted, AccountFault, Outcome, Rejected, Unknown
from portal.gateways.provider import OutgoingText, Provider, ProviderConfig, ProviderMessage, ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings

API_KEY = "fake-key-of-account-9d2a"
REJECTED_NUMBER, ACCOUNT_FAULT_NUMBER, UNKNOWN_OUTCOME_NUMBER = "+14152000001", "+14152000002", "+14152000003"
"""Phone numbers for which a text is rejected, faults the account, or has an unknown outcome."""
SENT_TEXTS: list[tuple[str, str, str]] = []
"""Account, phone number and body of every text sent."""


def _check_api_key(key: str, value: Any) -> str:
    return "" if value.startswith("fake-key-") else f"{key} must begin with fake-key-."


def _require(*names: str) -> Any:
    def missing_fields(setting: str, value: Mapping[str, Any]) -> dict[str, str]:
        return {name: f'{setting} needs "{name}".' for name in names if name not in value}

    return missing_fields


class FakeGateway:
    def submit_message(self, credentials: Credentials, _sender: SenderSettings, text: OutgoingText) -> Outcome:
        if credentials.password != API_KEY:
            return AccountFault("invalid-key", "The API key is not valid.")
        if text.to == REJECTED_NUMBER:
            return Rejected("unreachable", "The phone number cannot be reached.")
        SENT_TEXTS.append((credentials.account_sid, text.to, text.body))
        if text.to == UNKNOWN_OUTCOME_NUMBER:
            return Unknown("The connection broke.")
        return Accepted(f"message-{len(SENT_TEXTS)}")

    def get_message(self, _credentials: Credentials, provider_id: str) -> ProviderMessage:
        index = int(provider_id.removeprefix("message-")) - 1
        if index >= len(SENT_TEXTS):
            raise ProviderUnavailable("There is no such message.")
        return _provider_message(index)

    def messages_to(self, _credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        return (_provider_message(index) for index in reversed(range(len(SENT_TEXTS))) if SENT_TEXTS[index][1] == to)

    def inbound_messages(
        self, _credentials: Credentials, to_number: str = "", from_number: str = ""
    ) -> Iterator[ProviderMessage]:
        return iter(())

    def messages_between(
        self, _credentials: Credentials, since: datetime, until: datetime
    ) -> Iterator[ProviderMessage]:
        return iter(())


def _provider_message(index: int) -> ProviderMessage:
    _, to, body = SENT_TEXTS[index]
    return ProviderMessage(f"message-{index + 1}", "sender-7", to, body, "delivered", "", "", "outbound-api")


def _open(_config: ProviderConfig) -> FakeGateway:
    return FakeGateway()


PROVIDER = Provider(
    ProviderSchema(
        name="FakeSms",
        credentials_schema=SettingSchema(
            fields=(
                SettingField("AccountName", "AccountName"),
                SettingField("ApiKey", "ApiKey", "The key of the account.", "secret", check_value=_check_api_key),
            ),
            cross_field_rules=_require("AccountName", "ApiKey"),
        ),
        sender_schema=SettingSchema(
            fields=(
                SettingField("SenderId", "SenderId"),
                SettingField("MessagesPerMinute", "Messages per minute", kind="number"),
            ),
            cross_field_rules=_require("SenderId"),
        ),
        build_credentials=lambda value: Credentials(value["AccountName"], value["AccountName"], value["ApiKey"]),
        build_sender_settings=lambda value: SenderSettings(
            value["SenderId"], "", value.get("MessagesPerMinute", 60) / 60
        ),
    ),
    _open,
)
