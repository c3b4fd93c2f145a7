"""All settings together and over time: the gateway they describe, when switches expire, and when messages go live."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal.core.rules.email_address import address_problem
from portal.core.rules.routing import Mode, Switches
from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import MASK, SettingSchema
from portal.core.rules.text_input import clean_code, clean_lines
from portal.core.translation import gettext as _
from portal.gateways.rules.provider_schema import Credentials, ProviderSchema, SenderSettings
from portal.messages.rules.message_modes import EmailRoute
from portal.settings.rules.app_config import DEFINITIONS, GatewayConfig, find_definition
from portal.settings.rules.setting_kinds import KINDS, gateway_kind
from portal.settings.rules.text_limits import TextLimits, text_limits

_MAX_DURATION_MS = 366 * 86_400_000


@dataclass(frozen=True)
class Configuration:
    """The stored values, when switches expire (milliseconds since 1970), and why unreadable values cannot be read.

    The first of the `provider_schemas` is the default. `fixed_values` are environment variables, which count instead.
    """

    provider_schemas: Mapping[str, ProviderSchema]
    values: Mapping[str, Any] = field(default_factory=dict)
    expires_at_ms_by_name: Mapping[str, int] = field(default_factory=dict)
    read_errors: Mapping[str, str] = field(default_factory=dict)
    fixed_values: Mapping[str, str] = field(default_factory=dict)

    def values_at(self, at_ms: int) -> dict[str, Any]:
        """The values at a given time: an expired switch is off."""
        expired = {name: False for name, expiry_ms in self.expires_at_ms_by_name.items() if expiry_ms <= at_ms}
        return {**self.values, **expired}

    def json_object(self, name: str) -> dict[str, Any]:
        """The value of a JSON setting; empty if there is none."""
        value = self.values.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def provider(self) -> str:
        """The selected provider's name, even if it is unknown."""
        return str(self.values.get("SmsGatewayType") or next(iter(self.provider_schemas)))

    def schema(self, name: str) -> SettingSchema | None:
        """The schema of a JSON setting, for the selected provider if it is about texts; None for other settings."""
        kind, provider = DEFINITIONS[name].kind, self.provider_schemas.get(self.provider)
        if KINDS[kind].schema or provider is None:
            return KINDS[kind].schema
        return {"authentication": provider.credentials_schema, "sender": provider.sender_schema}.get(kind)

    def parse(self, name: str, text: str) -> Any:
        """Parse the text of one setting. Raises `SettingError`."""
        definition, schema = find_definition(name), self.schema(name)
        if schema is not None:
            return schema.parse(name, clean_lines(text).strip(), self.json_object(name))
        if definition.is_json:
            values = {"name": name, "providers": ", ".join(self.provider_schemas)}
            message = _("The format of %(name)s depends on SmsGatewayType: set that to %(providers)s first.", **values)
            raise SettingError.for_key(name, message)
        is_gateway = definition.kind == "gateway"
        kind = gateway_kind(self.provider_schemas) if is_gateway else KINDS[definition.kind]
        return kind.read(name, clean_code(text))

    def is_usable(self, name: str) -> bool:
        """False for a value that was written for another provider, or directly into the database."""
        value, schema = self.values.get(name), self.schema(name)
        return value is None or not DEFINITIONS[name].is_json or (schema is not None and schema.is_valid(value))

    def credentials(self, name: str = "SmsGatewayAuthentication") -> Credentials | None:
        """None if they are missing or unusable."""
        if not self.json_object(name) or not self.is_usable(name):
            return None
        provider = self.provider_schemas[self.provider]
        return replace(provider.build_credentials(self.values[name]), provider=provider.name)

    def sender(self, name: str = "SmsGatewaySettings") -> SenderSettings | None:
        """None if it is missing or unusable."""
        if not self.json_object(name) or not self.is_usable(name):
            return None
        return self.provider_schemas[self.provider].build_sender_settings(self.values[name])

    def gateway(self, at_ms: int) -> GatewayConfig:
        """Test mode selects the credentials and sender; the override only changes the destination."""
        values = self.values_at(at_ms)
        test_mode, override_on = bool(values.get("EnableSmsTestMode")), bool(values.get("EnableSmsOverrideNumber"))
        prefix = "Test" if test_mode else ""
        credentials = self.credentials(f"{prefix}SmsGatewayAuthentication")
        sender = self.sender(f"{prefix}SmsGatewaySettings")
        override_number = values.get("SmsOverrideNumber") if override_on else None
        switches = Switches(
            feature_on=bool(values.get("EnableSmsNotifications")),
            test_mode=test_mode,
            override_number=override_number,
            configured=credentials is not None and sender is not None and bool(override_number or not override_on),
        )
        return GatewayConfig(switches, credentials, sender, self.limits)

    @property
    def limits(self) -> TextLimits:
        return text_limits({**self.values, **self.fixed_values})

    def email_route(self, at_ms: int) -> EmailRoute:
        """An invalid override address counts as none, so that emails wait."""
        values = self.values_at(at_ms)
        address = values.get("EmailOverrideAddress")
        usable = isinstance(address, str) and address_problem(address) is None
        return EmailRoute(bool(values.get("EnableEmailOverride")), address if usable else None)

    def missing_settings(self, at_ms: int) -> list[str]:
        """The settings that are missing or unusable, so that no text can be sent."""
        values = self.values_at(at_ms)
        prefix = "Test" if values.get("EnableSmsTestMode") else ""
        required = [f"{prefix}SmsGatewayAuthentication", f"{prefix}SmsGatewaySettings"]
        if values.get("EnableSmsOverrideNumber"):
            required.append("SmsOverrideNumber")
        unusable = [name for name in required if not values.get(name) or not self.is_usable(name)]
        return unusable if self.provider in self.provider_schemas else ["SmsGatewayType", *unusable]

    def display_value(self, name: str, at_ms: int, other: "Configuration | None" = None) -> str:
        """The value as text, with only the last four characters of a secret.

        History shows it beside the `other` configuration's, without any part of a secret.
        """
        value, schema = self.values_at(at_ms).get(name), self.schema(name)
        if value is None:
            return ""
        if DEFINITIONS[name].kind == "flag":
            return "true" if value else "false"
        if not isinstance(value, dict):
            return str(value)
        if schema is None:
            masked: dict[str, Any] = dict.fromkeys(value, MASK)
        elif other is None:
            masked = schema.masked_values(value)
        else:
            masked = schema.masked_for_history(value, other.json_object(name))
        return json.dumps(masked, ensure_ascii=False)

    def derived_values(self, name: str) -> dict[str, str]:
        """The effective values of keys that were left out, as text."""
        schema, value = self.schema(name), self.json_object(name)
        return schema.derived_values(value) if schema is not None and value and self.is_usable(name) else {}

    def with_value(self, name: str, value: Any, expires_at_ms: int | None = None) -> "Configuration":
        expiries = {key: expiry_ms for key, expiry_ms in self.expires_at_ms_by_name.items() if key != name}
        if expires_at_ms is not None:
            expiries[name] = expires_at_ms
        errors = {key: error for key, error in self.read_errors.items() if key != name}
        return replace(self, values={**self.values, name: value}, expires_at_ms_by_name=expiries, read_errors=errors)

    def is_live(self, channel: str, at_ms: int) -> bool:
        """Messages of the channel are sent, and reach people's own phones or addresses."""
        if channel == "email":
            return not self.email_route(at_ms).override_on
        route = self.gateway(at_ms).send_route
        return route is not None and route.mode is Mode.LIVE

    def live_from_ms(self, channel: str, now_ms: int) -> int | None:
        """When messages of the channel are live, from now on or once a switch expires; None if they never are."""
        upcoming = sorted(expiry_ms for expiry_ms in self.expires_at_ms_by_name.values() if expiry_ms > now_ms)
        return next((at_ms for at_ms in (now_ms, *upcoming) if self.is_live(channel, at_ms)), None)

    def could_go_live(self, name: str, now_ms: int) -> bool:
        """Whether a change of the setting could make messages of its channel go live, now or later."""
        definition = DEFINITIONS[name]
        return definition.can_go_live and not self.is_live(definition.channel, now_ms)


def goes_live_at_ms(before: Configuration, after: Configuration, now_ms: int, channel: str = "sms") -> int | None:
    """When messages first go live because of the change; None if they do not.

    Expiries end overrides and test mode, so what is live stays live.
    """
    live_ms = after.live_from_ms(channel, now_ms)
    return None if live_ms is None or before.is_live(channel, live_ms) else live_ms


def check_expiry(name: str, value: Any, expires_at_ms: int | None, now_ms: int) -> None:
    """Raises `SettingError`."""
    if expires_at_ms is None:
        return
    error = ""
    if not DEFINITIONS[name].can_expire:
        names = ", ".join(key for key, definition in DEFINITIONS.items() if definition.can_expire)
        error = _("%(name)s cannot turn itself off; only %(names)s can.", name=name, names=names)
    elif not value:
        error = _("%(name)s is being turned off, so it cannot have an end.", name=name)
    elif expires_at_ms <= now_ms:
        error = _("%(name)s must end in the future.", name=name)
    elif expires_at_ms - now_ms > _MAX_DURATION_MS:
        error = _("%(name)s must end within a year, or have no end.", name=name)
    if error:
        raise SettingError.for_key(name, error, "expires_at")
