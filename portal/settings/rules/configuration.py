"""All settings together and over time: switches that end by themselves, and when texts go live."""

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
    """The values as they are stored; when those that end by themselves are over (milliseconds since 1970); and why
    those that cannot be read cannot."""

    provider_schemas: Mapping[str, ProviderSchema]
    values: Mapping[str, Any] = field(default_factory=dict)
    expires_at_ms_by_name: Mapping[str, int] = field(default_factory=dict)
    read_errors: Mapping[str, str] = field(default_factory=dict)

    def values_at(self, moment_ms: int) -> dict[str, Any]:
        """What holds at a moment: a switch that has ended is off."""
        over = {name: False for name, until_ms in self.expires_at_ms_by_name.items() if until_ms <= moment_ms}
        return {**self.values, **over}

    @property
    def provider(self) -> str:
        """The name of the gateway in force, known here or not."""
        return str(self.values.get("SmsGatewayType") or next(iter(self.provider_schemas)))

    def gateway(self, moment_ms: int) -> GatewayConfig:
        return resolve_gateway(self.values_at(moment_ms), self.provider_schemas)

    def email_route(self, moment_ms: int) -> EmailRoute:
        return resolve_email_route(self.values_at(moment_ms))

    def with_test_mode(self, on: bool) -> "Configuration":
        """The same settings as they would be with test mode switched on or off."""
        return self.with_value("EnableSmsTestMode", on)

    def is_sms_live(self, moment_ms: int) -> bool:
        """Texts leave, for the phones of the people they are meant for."""
        door = self.gateway(moment_ms).send_route
        return door is not None and door.mode is Mode.LIVE

    def is_email_live(self, moment_ms: int) -> bool:
        """Emails go to the people they are meant for."""
        return not self.email_route(moment_ms).override_on

    def schema(self, name: str) -> SettingSchema | None:
        return schema_for(name, self.values, self.provider_schemas)

    def is_usable(self, name: str) -> bool:
        """False for what was written for another gateway, or past us."""
        value, shape = self.values.get(name), self.schema(name)
        return value is None or not DEFINITIONS[name].is_json or (shape is not None and shape.is_valid(value))

    def missing_settings(self, moment_ms: int) -> list[str]:
        """The settings without which no text leaves."""
        now = self.values_at(moment_ms)
        prefix = "Test" if now.get("EnableSmsTestMode") else ""
        needed = [f"{prefix}SmsGatewayAuthentication", f"{prefix}SmsGatewaySettings"]
        if now.get("EnableSmsOverrideNumber"):
            needed.append("SmsOverrideNumber")
        unusable = [name for name in needed if not now.get(name) or not self.is_usable(name)]
        return unusable if self.provider in self.provider_schemas else ["SmsGatewayType", *unusable]

    def display_value(self, name: str, moment_ms: int) -> str:
        return display_value(name, self.values_at(moment_ms).get(name), self.schema(name))

    def derived_values(self, name: str, moment_ms: int) -> dict[str, str]:
        """What holds for keys that were left out, in words; nothing of what cannot be used."""
        shape, value = self.schema(name), self.values_at(moment_ms).get(name)
        return shape.derived_values(value) if shape is not None and value and self.is_usable(name) else {}

    def parse(self, name: str, text: str) -> Any:
        """Raises `SettingError`."""
        return parse_setting(name, text, self.values, self.provider_schemas)

    def with_value(self, name: str, value: Any, until_ms: int | None = None) -> "Configuration":
        ends = {key: end for key, end in self.expires_at_ms_by_name.items() if key != name}
        if until_ms is not None:
            ends[name] = until_ms
        unreadable = {key: why for key, why in self.read_errors.items() if key != name}
        return replace(self, values={**self.values, name: value}, expires_at_ms_by_name=ends, read_errors=unreadable)

    def history_value(self, name: str, other: "Configuration", moment_ms: int) -> str:
        """As history keeps a setting beside what it was or became in the other configuration: no part of any secret."""
        shape, value, its_other = self.schema(name), self.values.get(name), other.values.get(name)
        if shape is None or not isinstance(value, dict):
            return self.display_value(name, moment_ms)
        return json.dumps(
            shape.masked_for_history(value, its_other if isinstance(its_other, dict) else {}), ensure_ascii=False
        )


IsLive = Callable[[Configuration, int], bool]
"""Whether messages of a channel reach people at a moment."""


def channel_of_setting(name: str) -> str:
    """The channel whose messages a setting lets out: of each, it is one alone."""
    return "email" if name in ("EnableEmailOverride", "EmailOverrideAddress") else "sms"


def liveness_check(name: str) -> IsLive:
    return Configuration.is_email_live if channel_of_setting(name) == "email" else Configuration.is_sms_live


def goes_live_at_ms(
    before: Configuration, after: Configuration, now_ms: int, is_live: IsLive = Configuration.is_sms_live
) -> int | None:
    """The first moment from now on when texts (or emails) reach people by this change; None when it makes none."""
    ends = {
        until_ms
        for until_ms in (*before.expires_at_ms_by_name.values(), *after.expires_at_ms_by_name.values())
        if until_ms > now_ms
    }
    for moment_ms in sorted({now_ms, *ends}):
        if is_live(after, moment_ms) and not is_live(before, moment_ms):
            return moment_ms
    return None


def goes_live_on_expiry_at_ms(configuration: Configuration, now_ms: int) -> int | None:
    """When texts go live because a switch ends by itself; None when they do not, or are live already."""
    if configuration.is_sms_live(now_ms):
        return None
    later = sorted(end for end in configuration.expires_at_ms_by_name.values() if end > now_ms)
    return next((end for end in later if configuration.is_sms_live(end)), None)


def could_go_live(before: Configuration, name: str, now_ms: int) -> bool:
    """Whether there is a value of the setting by which messages of its channel would reach people, now or later."""
    return any(
        goes_live_at_ms(before, before.with_value(name, value, until_ms), now_ms, liveness_check(name)) is not None
        for value, until_ms in _candidate_values(before, name, now_ms)
    )


def _candidate_values(before: Configuration, name: str, now_ms: int) -> list[tuple[Any, int | None]]:
    definition, shape = DEFINITIONS[name], before.schema(name)
    if definition.kind == "flag":
        ended = [(True, now_ms + 1)] if definition.can_expire else []
        return [(True, None), (False, None), *ended]
    if definition.kind == "gateway":
        return [(dialect, None) for dialect in before.provider_schemas]
    if definition.kind == "phone_number":
        return [(before.values.get(name) or "+12025550100", None)]
    return [(shape.example, None)] if shape else []


def check_expiry(name: str, value: Any, until_ms: int | None, now_ms: int) -> None:
    """Raises `SettingError` for an end that the setting cannot have."""
    if until_ms is None:
        return
    if not DEFINITIONS[name].can_expire:
        those = ", ".join(key for key, definition in DEFINITIONS.items() if definition.can_expire)
        raise SettingError.for_key(f"{name} does not end by itself; only {those} do.", "until")
    if not value:
        raise SettingError.for_key(f"{name} is being switched off, so it has no end.", "until")
    if until_ms <= now_ms:
        raise SettingError.for_key(f"{name} must end later than now.", "until")
    if until_ms - now_ms > _MAX_DURATION_MS:
        raise SettingError.for_key(f"{name} must end within a year; or let it not end by itself.", "until")


_MAX_DURATION_MS = 366 * 86_400_000
