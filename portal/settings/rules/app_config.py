"""The AppConfig settings by their exact names: what each may hold and what they mean together."""

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
    """`kind` is flag, gateway, number, address, authentication or sender. A secret is sealed at rest and
    shown masked; a setting that `ends` can be switched on until a certain time."""

    name: str
    kind: str
    label: str
    help: str
    is_secret: bool = False
    can_expire: bool = False

    @property
    def is_json(self) -> bool:
        return self.kind in ("authentication", "sender")


_DEFINITIONS = (
    SettingDefinition(
        "EnableSmsNotifications", "flag", "Text messages", "Switches all of SMS on: texts leave, and people see it."
    ),
    SettingDefinition("SmsGatewayType", "gateway", "Gateway", "Who carries the texts."),
    SettingDefinition(
        "SmsGatewayAuthentication", "authentication", "Credentials", "What the gateway knows us by.", is_secret=True
    ),
    SettingDefinition("SmsGatewaySettings", "sender", "Sender", "The number that texts come from, and its pace."),
    SettingDefinition(
        "EnableSmsOverrideNumber",
        "flag",
        "Override",
        "Sends every text to the override number instead of the person’s own. Emails are not changed by it.",
        can_expire=True,
    ),
    SettingDefinition(
        "SmsOverrideNumber",
        "phone_number",
        "Override number",
        "The number that gets every text while the override is on.",
    ),
    SettingDefinition(
        "EnableSmsTestMode",
        "flag",
        "Test mode",
        "Uses the test credentials and test sender: no real text leaves. Emails are not changed by it.",
        can_expire=True,
    ),
    SettingDefinition(
        "TestSmsGatewayAuthentication",
        "authentication",
        "Test credentials",
        "What the gateway knows us by in test mode. Twilio has a pair of its own for tests.",
        is_secret=True,
    ),
    SettingDefinition(
        "TestSmsGatewaySettings",
        "sender",
        "Test sender",
        "What texts come from in test mode. Twilio accepts its magic number +15005550006 alone.",
    ),
    SettingDefinition(
        "EnableEmailOverride",
        "flag",
        "Email override",
        "Sends every email to the override address instead of the person’s own. Texts are not changed by it, and mails "
        "about passwords still go to their owner.",
        can_expire=True,
    ),
    SettingDefinition(
        "EmailOverrideAddress",
        "email_address",
        "Override address",
        "The address that gets every email while the email override is on.",
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
    """Everything one attempt needs, taken at one moment, so that no attempt mixes two configurations."""

    switches: Switches
    credentials: Credentials | None
    sender: SenderSettings | None

    @property
    def send_route(self) -> SendRoute | None:
        """What a text leaves by; None while the feature is off or something is missing."""
        if self.credentials is None or self.sender is None or not self.switches.feature_on:
            return None
        if not self.switches.configured:
            return None
        return SendRoute(self.switches.mode, self.credentials, self.sender, self.switches.override_number)

    @property
    def test_message_route(self) -> SendRoute | None:
        """Test texts leave while texts are off, to prove the setup first (docs/consent-rules.md#feature-switch)."""
        return replace(self, switches=replace(self.switches, feature_on=True)).send_route


def parse_setting(name: str, text: str, values: Mapping[str, Any], dialects: Mapping[str, ProviderSchema]) -> Any:
    """The value of a setting from what was typed, beside the `values` that there are. Raises `SettingError`."""
    if name not in DEFINITIONS:
        raise SettingError.for_key(f"There is no setting {name[:40]!r}. The settings are: {', '.join(DEFINITIONS)}.")
    shape = schema_for(name, values, dialects)
    if shape is not None:
        stored = values.get(name)
        return shape.parse(name, text_input.clean_lines(text).strip(), stored if isinstance(stored, dict) else None)
    if DEFINITIONS[name].is_json:
        raise SettingError.for_key(
            f"{name} is written as its gateway asks: set SmsGatewayType to {_join_alternatives(dialects)} first."
        )
    return _PARSERS[DEFINITIONS[name].kind](name, text_input.clean_code(text), dialects)


def active_provider_schema(values: Mapping[str, Any], dialects: Mapping[str, ProviderSchema]) -> ProviderSchema | None:
    """That of the gateway in force: the first there is until one is chosen, None when the chosen one is not there."""
    return dialects.get(values.get("SmsGatewayType") or next(iter(dialects)))


def schema_for(name: str, values: Mapping[str, Any], dialects: Mapping[str, ProviderSchema]) -> SettingSchema | None:
    """The shape of a JSON setting as the gateway in force writes it; None for the others."""
    dialect = active_provider_schema(values, dialects)
    if dialect is None:
        return None
    return {"authentication": dialect.credentials_schema, "sender": dialect.sender_schema}.get(DEFINITIONS[name].kind)


def resolve_gateway(values: Mapping[str, Any], dialects: Mapping[str, ProviderSchema]) -> GatewayConfig:
    """The gateway as the settings stand: test mode picks credentials and sender, the override only the number."""
    dialect = active_provider_schema(values, dialects)
    test_mode = bool(values.get("EnableSmsTestMode"))
    prefix = "Test" if test_mode else ""
    credentials = _resolve_credentials(dialect, values.get(f"{prefix}SmsGatewayAuthentication"))
    sender = _resolve_sender(dialect, values.get(f"{prefix}SmsGatewaySettings"))
    override = values.get("SmsOverrideNumber") if values.get("EnableSmsOverrideNumber") else None
    unroutable = bool(values.get("EnableSmsOverrideNumber")) and not override
    switches = Switches(
        feature_on=bool(values.get("EnableSmsNotifications")),
        test_mode=test_mode,
        override_number=override,
        configured=credentials is not None and sender is not None and not unroutable,
    )
    return GatewayConfig(switches, credentials, sender)


def resolve_email_route(values: Mapping[str, Any]) -> EmailRoute:
    """Where emails go as the settings stand. An address that is of no use counts as none: the emails wait."""
    address = values.get("EmailOverrideAddress")
    usable = isinstance(address, str) and email_address.address_problem(address) is None
    return EmailRoute(bool(values.get("EnableEmailOverride")), address if usable else None)


def live_credentials(values: Mapping[str, Any], dialects: Mapping[str, ProviderSchema]) -> Credentials | None:
    """What we are known by when nothing is rehearsed."""
    return _resolve_credentials(active_provider_schema(values, dialects), values.get("SmsGatewayAuthentication"))


def display_value(name: str, value: Any, shape: SettingSchema | None) -> str:
    """A setting as it may be shown: secrets by their last four characters."""
    if value is None:
        return ""
    if DEFINITIONS[name].kind == "flag":
        return "true" if value else "false"
    if not isinstance(value, dict):
        return str(value)
    return json.dumps(shape.masked_values(value) if shape else dict.fromkeys(value, MASK), ensure_ascii=False)


def _parse_flag(name: str, text: str, _dialects: Mapping[str, ProviderSchema]) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise SettingError.for_key(f"{name} must be true or false, not {text[:40]!r}.")


def _parse_gateway(name: str, text: str, dialects: Mapping[str, ProviderSchema]) -> str:
    if text in dialects:
        return text
    only = ", the one gateway there is" if len(dialects) == 1 else ""
    raise SettingError.for_key(f"{name} must be {_join_alternatives(dialects)}{only}, not {text[:40]!r}.")


def _parse_phone_number(name: str, text: str, _dialects: Mapping[str, ProviderSchema]) -> str:
    if not is_e164(text):
        rule = "in E.164: a plus, the country code and the number, such as +12025550100."
        raise SettingError.for_key(f"{name} must be {rule}")
    if not is_possible_phone(text):
        rule = "a possible phone number: this has too few or too many digits for its country."
        raise SettingError.for_key(f"{name} must be {rule}")
    return text


def _parse_email_address(name: str, text: str, _dialects: Mapping[str, ProviderSchema]) -> str:
    address_problem = email_address.address_problem(text)
    if address_problem is not None:
        raise SettingError.for_key(f"{name}: {address_problem}")
    return text


_PARSERS = {
    "email_address": _parse_email_address,
    "flag": _parse_flag,
    "gateway": _parse_gateway,
    "phone_number": _parse_phone_number,
}


def _join_alternatives(dialects: Mapping[str, ProviderSchema]) -> str:
    return " or ".join(dialects)


def _resolve_credentials(dialect: ProviderSchema | None, value: Any) -> Credentials | None:
    """None for what is missing, and for what was written for another gateway."""
    if dialect is None or not value or not dialect.credentials_schema.is_valid(value):
        return None
    return replace(dialect.build_credentials(value), provider=dialect.name)


def _resolve_sender(dialect: ProviderSchema | None, value: Any) -> SenderSettings | None:
    if dialect is None or not value or not dialect.sender_schema.is_valid(value):
        return None
    return dialect.build_sender_settings(value)
