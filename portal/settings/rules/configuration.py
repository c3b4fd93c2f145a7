"""All settings together and over time: when switches expire, and when messages go live."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal.core.rules.routing import Mode
from portal.core.rules.setting_error import SettingError
from portal.core.rules.setting_schema import SettingSchema
from portal.gateways.rules.provider_schema import ProviderSchema
from portal.messages.rules.message_modes import EmailRoute
from portal.settings.rules.app_config import (
    DEFINITIONS,
    GatewayConfig,
    display_value,
    parse_setting,
    resolve_email_route,
    resolve_gateway,
    schema_for,
)


@dataclass(frozen=True)
class Configuration:
    """The stored values, when switches expire (milliseconds since 1970), and why unreadable values cannot be read."""

    provider_schemas: Mapping[str, ProviderSchema]
    values: Mapping[str, Any] = field(default_factory=dict)
    expires_at_ms_by_name: Mapping[str, int] = field(default_factory=dict)
    read_errors: Mapping[str, str] = field(default_factory=dict)

    def values_at(self, at_ms: int) -> dict[str, Any]:
        """The values at a given time: an expired switch is off."""
        expired = {name: False for name, expiry_ms in self.expires_at_ms_by_name.items() if expiry_ms <= at_ms}
        return {**self.values, **expired}

    @property
    def provider(self) -> str:
        """The selected provider's name, even if it is unknown."""
        return str(self.values.get("SmsGatewayType") or next(iter(self.provider_schemas)))

    def gateway(self, at_ms: int) -> GatewayConfig:
        return resolve_gateway(self.values_at(at_ms), self.provider_schemas)

    def email_route(self, at_ms: int) -> EmailRoute:
        return resolve_email_route(self.values_at(at_ms))

    def with_test_mode(self, on: bool) -> "Configuration":
        return self.with_value("EnableSmsTestMode", on)

    def is_sms_live(self, at_ms: int) -> bool:
        """Texts are sent, and reach people's own phones."""
        route = self.gateway(at_ms).send_route
        return route is not None and route.mode is Mode.LIVE

    def is_email_live(self, at_ms: int) -> bool:
        """Emails go to people's own addresses."""
        return not self.email_route(at_ms).override_on

    def schema(self, name: str) -> SettingSchema | None:
        return schema_for(name, self.values, self.provider_schemas)

    def is_usable(self, name: str) -> bool:
        """False for a value that was written for another provider, or directly into the database."""
        value, schema = self.values.get(name), self.schema(name)
        return value is None or not DEFINITIONS[name].is_json or (schema is not None and schema.is_valid(value))

    def missing_settings(self, at_ms: int) -> list[str]:
        """The settings that are missing or unusable, so that no text can be sent."""
        values = self.values_at(at_ms)
        prefix = "Test" if values.get("EnableSmsTestMode") else ""
        required = [f"{prefix}SmsGatewayAuthentication", f"{prefix}SmsGatewaySettings"]
        if values.get("EnableSmsOverrideNumber"):
            required.append("SmsOverrideNumber")
        unusable = [name for name in required if not values.get(name) or not self.is_usable(name)]
        return unusable if self.provider in self.provider_schemas else ["SmsGatewayType", *unusable]

    def display_value(self, name: str, at_ms: int) -> str:
        return display_value(name, self.values_at(at_ms).get(name), self.schema(name))

    def derived_values(self, name: str, at_ms: int) -> dict[str, str]:
        """The effective values of keys that were left out, as text."""
        schema, value = self.schema(name), self.values_at(at_ms).get(name)
        return schema.derived_values(value) if schema is not None and value and self.is_usable(name) else {}

    def parse(self, name: str, text: str) -> Any:
        """Raises `SettingError`."""
        return parse_setting(name, text, self.values, self.provider_schemas)

    def with_value(self, name: str, value: Any, expires_at_ms: int | None = None) -> "Configuration":
        expiries = {key: expiry_ms for key, expiry_ms in self.expires_at_ms_by_name.items() if key != name}
        if expires_at_ms is not None:
            expiries[name] = expires_at_ms
        errors = {key: error for key, error in self.read_errors.items() if key != name}
        return replace(self, values={**self.values, name: value}, expires_at_ms_by_name=expiries, read_errors=errors)

    def history_value(self, name: str, other: "Configuration", at_ms: int) -> str:
        """The value as history records it next to the other configuration's: without any part of a secret."""
        schema, value, other_value = self.schema(name), self.values.get(name), other.values.get(name)
        if schema is None or not isinstance(value, dict):
            return self.display_value(name, at_ms)
        masked = schema.masked_for_history(value, other_value if isinstance(other_value, dict) else {})
        return json.dumps(masked, ensure_ascii=False)


_MAX_DURATION_MS = 366 * 86_400_000
IsLive = Callable[[Configuration, int], bool]
"""Whether messages of a channel reach people at a given time."""


def channel_of_setting(name: str) -> str:
    """The one channel that a setting controls."""
    return "email" if name in ("EnableEmailOverride", "EmailOverrideAddress") else "sms"


def liveness_check(name: str) -> IsLive:
    return Configuration.is_email_live if channel_of_setting(name) == "email" else Configuration.is_sms_live


def goes_live_at_ms(
    before: Configuration, after: Configuration, now_ms: int, is_live: IsLive = Configuration.is_sms_live
) -> int | None:
    """When messages first go live because of the change, now or at an expiry; None if they do not."""
    expiries = (*before.expires_at_ms_by_name.values(), *after.expires_at_ms_by_name.values())
    for at_ms in sorted({now_ms, *(expiry_ms for expiry_ms in expiries if expiry_ms > now_ms)}):
        if is_live(after, at_ms) and not is_live(before, at_ms):
            return at_ms
    return None


def goes_live_on_expiry_at_ms(configuration: Configuration, now_ms: int) -> int | None:
    """When texts go live because a switch expires; None if they do not, or are live already."""
    if configuration.is_sms_live(now_ms):
        return None
    upcoming = sorted(expiry_ms for expiry_ms in configuration.expires_at_ms_by_name.values() if expiry_ms > now_ms)
    return next((expiry_ms for expiry_ms in upcoming if configuration.is_sms_live(expiry_ms)), None)


def could_go_live(before: Configuration, name: str, now_ms: int) -> bool:
    """Whether any value of the setting could make messages of its channel go live, now or later."""
    return any(
        goes_live_at_ms(before, before.with_value(name, value, expires_at_ms), now_ms, liveness_check(name)) is not None
        for value, expires_at_ms in _candidate_values(before, name, now_ms)
    )


def _candidate_values(before: Configuration, name: str, now_ms: int) -> list[tuple[Any, int | None]]:
    definition, schema = DEFINITIONS[name], before.schema(name)
    if definition.kind == "flag":
        expiring = [(True, now_ms + 1)] if definition.can_expire else []
        return [(True, None), (False, None), *expiring]
    if definition.kind == "gateway":
        return [(provider, None) for provider in before.provider_schemas]
    if definition.kind == "phone_number":
        return [(before.values.get(name) or "+12025550100", None)]
    return [(schema.example, None)] if schema else []


def check_expiry(name: str, value: Any, expires_at_ms: int | None, now_ms: int) -> None:
    """Raises `SettingError`."""
    if expires_at_ms is None:
        return
    problem = ""
    if not DEFINITIONS[name].can_expire:
        names = ", ".join(key for key, definition in DEFINITIONS.items() if definition.can_expire)
        problem = f"{name} cannot turn itself off; only {names} can."
    elif not value:
        problem = f"{name} is being turned off, so it cannot have an end."
    elif expires_at_ms <= now_ms:
        problem = f"{name} must end in the future."
    elif expires_at_ms - now_ms > _MAX_DURATION_MS:
        problem = f"{name} must end within a year, or have no end."
    if problem:
        raise SettingError.for_key(problem, "expires_at")
