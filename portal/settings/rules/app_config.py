"""The AppConfig settings by their exact names: allowed values, and the gateway that they describe."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from portal.core.rules import email_address, text_input
from portal.core.rules.phone import is_e164, is_possible_phone
from portal.core.rules.routing import Mode, Switches
from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import MASK, SettingSchema
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings
from portal.messages.rules.message_modes import EmailRoute


@dataclass(frozen=True)
class SettingDefinition:
    """`kind` is flag, gateway, phone_number, email_address, authentication or sender.

    A setting that `can_expire` can turn itself off at a set time.
    """

    name: str
    kind: str
    label: str
    help: str
    can_expire: bool = False

    @property
    def is_json(self) -> bool:
        return self.kind in ("authentication", "sender")

    @property
    def is_secret(self) -> bool:
        """Encrypted at rest and displayed masked."""
        return self.kind == "authentication"


_DEFINITIONS = (
    SettingDefinition(
        "EnableSmsNotifications", "flag", "Text messages", "Turns SMS on: texts are sent, and pages show SMS features."
    ),
    SettingDefinition("SmsGatewayType", "gateway", "Gateway", "The provider that sends the texts."),
    SettingDefinition("SmsGatewayAuthentication", "authentication", "Credentials", "The account that sends the texts."),
    SettingDefinition("SmsGatewaySettings", "sender", "Sender", "The number that texts come from, and its rate."),
    SettingDefinition(
        "EnableSmsOverrideNumber",
        "flag",
        "Override",
        "Sends every text to the override number instead of the person’s own number. Does not affect emails.",
        can_expire=True,
    ),
    SettingDefinition(
        "SmsOverrideNumber", "phone_number", "Override number", "Gets every text while the override is on."
    ),
    SettingDefinition(
        "EnableSmsTestMode",
        "flag",
        "Test mode",
        "Uses the test credentials and test sender, so that no real text is sent. Does not affect emails.",
        can_expire=True,
    ),
    SettingDefinition(
        "TestSmsGatewayAuthentication",
        "authentication",
        "Test credentials",
        "The account used in test mode. Twilio provides separate test credentials.",
    ),
    SettingDefinition(
        "TestSmsGatewaySettings",
        "sender",
        "Test sender",
        "The number that texts come from in test mode. Twilio only accepts its magic number +15005550006.",
    ),
    SettingDefinition(
        "EnableEmailOverride",
        "flag",
        "Email override",
        "Sends every email to the override address instead of the person’s own address. Does not affect texts, or "
        "password emails, which still go to their owner.",
        can_expire=True,
    ),
    SettingDefinition(
        "EmailOverrideAddress", "email_address", "Override address", "Gets every email while the email override is on."
    ),
)
DEFINITIONS: dict[str, SettingDefinition] = {definition.name: definition for definition in _DEFINITIONS}


@dataclass(frozen=True)
class SendRoute:
    mode: Mode
    credentials: Credentials
    sender: SenderSettings
    override_number: str | None


@dataclass(frozen=True)
class GatewayConfig:
    """Everything that one attempt needs, read at once, so that no attempt mixes two configurations."""

    switches: Switches
    credentials: Credentials | None
    sender: SenderSettings | None

    @property
    def send_route(self) -> SendRoute | None:
        """How a text is sent; None while the feature is off or the setup is incomplete."""
        switches = self.switches
        if self.credentials is None or self.sender is None or not (switches.feature_on and switches.configured):
            return None
        return SendRoute(switches.mode, self.credentials, self.sender, switches.override_number)

    @property
    def test_message_route(self) -> SendRoute | None:
        """Test texts are sent even while texts are off, to test the setup (docs/consent-rules.md#feature-switch)."""
        return replace(self, switches=replace(self.switches, feature_on=True)).send_route


def parse_setting(name: str, text: str, values: Mapping[str, Any], providers: Mapping[str, ProviderSchema]) -> Any:
    """Parse the text of one setting; `values` are the current ones of all. Raises `SettingError`."""
    if name not in DEFINITIONS:
        raise SettingError.for_key(f"There is no setting {name[:40]!r}. The settings are: {', '.join(DEFINITIONS)}.")
    schema = schema_for(name, values, providers)
    if schema is not None:
        stored = values.get(name)
        return schema.parse(name, text_input.clean_lines(text).strip(), stored if isinstance(stored, dict) else None)
    if DEFINITIONS[name].is_json:
        names = " or ".join(providers)
        raise SettingError.for_key(f"The format of {name} depends on the gateway: set SmsGatewayType to {names} first.")
    return _PARSERS[DEFINITIONS[name].kind](name, text_input.clean_code(text), providers)


def active_provider_schema(values: Mapping[str, Any], providers: Mapping[str, ProviderSchema]) -> ProviderSchema | None:
    """The schema of the selected provider, by default the first; None if the selected one is unknown."""
    return providers.get(values.get("SmsGatewayType") or next(iter(providers)))


def schema_for(name: str, values: Mapping[str, Any], providers: Mapping[str, ProviderSchema]) -> SettingSchema | None:
    """The schema of a JSON setting for the selected provider; None for other settings."""
    provider = active_provider_schema(values, providers)
    if provider is None:
        return None
    return {"authentication": provider.credentials_schema, "sender": provider.sender_schema}.get(DEFINITIONS[name].kind)


def resolve_gateway(values: Mapping[str, Any], providers: Mapping[str, ProviderSchema]) -> GatewayConfig:
    """Test mode selects the credentials and sender; the override only changes the destination."""
    provider = active_provider_schema(values, providers)
    test_mode = bool(values.get("EnableSmsTestMode"))
    prefix = "Test" if test_mode else ""
    credentials = _resolve_credentials(provider, values.get(f"{prefix}SmsGatewayAuthentication"))
    sender = _resolve_sender(provider, values.get(f"{prefix}SmsGatewaySettings"))
    override_on = bool(values.get("EnableSmsOverrideNumber"))
    override_number = values.get("SmsOverrideNumber") if override_on else None
    switches = Switches(
        feature_on=bool(values.get("EnableSmsNotifications")),
        test_mode=test_mode,
        override_number=override_number,
        configured=credentials is not None and sender is not None and bool(override_number or not override_on),
    )
    return GatewayConfig(switches, credentials, sender)


def resolve_email_route(values: Mapping[str, Any]) -> EmailRoute:
    """An invalid override address counts as none, so that emails wait."""
    address = values.get("EmailOverrideAddress")
    usable = isinstance(address, str) and email_address.address_problem(address) is None
    return EmailRoute(bool(values.get("EnableEmailOverride")), address if usable else None)


def live_credentials(values: Mapping[str, Any], providers: Mapping[str, ProviderSchema]) -> Credentials | None:
    """The credentials outside test mode."""
    return _resolve_credentials(active_provider_schema(values, providers), values.get("SmsGatewayAuthentication"))


def display_value(name: str, value: Any, schema: SettingSchema | None) -> str:
    """The value as text, with only the last four characters of a secret."""
    if value is None:
        return ""
    if DEFINITIONS[name].kind == "flag":
        return "true" if value else "false"
    if not isinstance(value, dict):
        return str(value)
    return json.dumps(schema.masked_values(value) if schema else dict.fromkeys(value, MASK), ensure_ascii=False)


def _parse_flag(name: str, text: str, _providers: Mapping[str, ProviderSchema]) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise SettingError.for_key(f"{name} must be true or false, not {text[:40]!r}.")


def _parse_gateway(name: str, text: str, providers: Mapping[str, ProviderSchema]) -> str:
    if text in providers:
        return text
    only = ", the only gateway available" if len(providers) == 1 else ""
    raise SettingError.for_key(f"{name} must be {' or '.join(providers)}{only}, not {text[:40]!r}.")


def _parse_phone_number(name: str, text: str, _providers: Mapping[str, ProviderSchema]) -> str:
    if not is_e164(text):
        raise SettingError.for_key(f"{name} must start with a plus and the country code, such as +12025550100.")
    if not is_possible_phone(text):
        raise SettingError.for_key(f"{name} has too few or too many digits for its country.")
    return text


def _parse_email_address(name: str, text: str, _providers: Mapping[str, ProviderSchema]) -> str:
    if problem := email_address.address_problem(text):
        raise SettingError.for_key(f"{name}: {problem}")
    return text


_PARSERS = {
    "email_address": _parse_email_address,
    "flag": _parse_flag,
    "gateway": _parse_gateway,
    "phone_number": _parse_phone_number,
}


def _resolve_credentials(provider: ProviderSchema | None, value: Any) -> Credentials | None:
    """None if they are missing or were written for another provider."""
    if provider is None or not value or not provider.credentials_schema.is_valid(value):
        return None
    return replace(provider.build_credentials(value), provider=provider.name)


def _resolve_sender(provider: ProviderSchema | None, value: Any) -> SenderSettings | None:
    if provider is None or not value or not provider.sender_schema.is_valid(value):
        return None
    return provider.build_sender_settings(value)
