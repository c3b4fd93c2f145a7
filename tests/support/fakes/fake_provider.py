"""A carrier that exists in tests alone: pigeons of a loft, called by a whistle. One module (docs/providers.md)."""

from collections.abc import Iterator, Mapping
from typing import Any

from portal.core.rules.setting_schema import SettingField, SettingSchema
from portal.gateways.outcomes import Accepted, AccountFault, Outcome, Rejected, Unknown
from portal.gateways.provider import OutgoingText, Provider, ProviderConfig, ProviderMessage, ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings

API_KEY = "whistle-of-the-loft-9d2a"
REJECTED_NUMBER, ACCOUNT_FAULT_NUMBER, UNKNOWN_OUTCOME_NUMBER = "+14152000001", "+14152000002", "+14152000003"
"""Where no pigeon goes, what makes the loft shut, and where nobody sees whether one arrived."""
SENT_TEXTS: list[tuple[str, str, str]] = []
"""Account, address and words of every text that left."""


def _check_api_key(value: Any) -> str:
    return "" if value.startswith("whistle-") else "must be a whistle."


def _needs(*names: str) -> Any:
    def between(value: Mapping[str, Any]) -> dict[str, str]:
        return {name: f' needs "{name}".' for name in names if name not in value}

    return between


class FakeGateway:
    def create(self, credentials: Credentials, _sender: SenderSettings, text: OutgoingText) -> Outcome:
        if credentials.password != API_KEY:
            return AccountFault("whistle", "No pigeon came.")
        if text.to == REJECTED_NUMBER:
            return Rejected("hawk", "A hawk circles there.")
        SENT_TEXTS.append((credentials.account_sid, text.to, text.body))
        return Unknown("Fog.") if text.to == UNKNOWN_OUTCOME_NUMBER else Accepted(f"pigeon-{len(SENT_TEXTS)}")

    def fetch(self, _credentials: Credentials, provider_id: str) -> ProviderMessage:
        place = int(provider_id.removeprefix("pigeon-")) - 1
        return _provider_message(place) if place < len(SENT_TEXTS) else _raise_not_found()

    def sent_to(self, _credentials: Credentials, to: str) -> Iterator[ProviderMessage]:
        return (_provider_message(place) for place in reversed(range(len(SENT_TEXTS))) if SENT_TEXTS[place][1] == to)

    def received(self, _credentials: Credentials, at: str = "", sender: str = "") -> Iterator[ProviderMessage]:
        return iter(())


def _provider_message(place: int) -> ProviderMessage:
    _, to, body = SENT_TEXTS[place]
    return ProviderMessage(f"pigeon-{place + 1}", "ring-7", to, body, "delivered", "", "", "outbound-api")


def _raise_not_found() -> ProviderMessage:
    raise ProviderUnavailable("There is no such pigeon.")


def _open(_surroundings: ProviderConfig) -> FakeGateway:
    return FakeGateway()


PROVIDER = Provider(
    ProviderSchema(
        name="FakeSms",
        credentials_schema=SettingSchema(
            fields=(
                SettingField("AccountName", "AccountName"),
                SettingField("ApiKey", "ApiKey", "It calls them.", "secret", check_value=_check_api_key),
            ),
            example={"AccountName": "north", "ApiKey": "whistle-0"},
            cross_field_rules=_needs("AccountName", "ApiKey"),
        ),
        sender_schema=SettingSchema(
            fields=(
                SettingField("SenderId", "SenderId on the leg"),
                SettingField("MessagesPerMinute", "Departures a minute", kind="number"),
            ),
            example={"SenderId": "ring-1"},
            cross_field_rules=_needs("SenderId"),
        ),
        build_credentials=lambda value: Credentials(value["Loft"], value["Loft"], value["ApiKey"]),
        build_sender_settings=lambda value: SenderSettings(
            value["SenderId"], "", value.get("MessagesPerMinute", 60) / 60
        ),
    ),
    _open,
)
