"""Read the AppConfig settings, all together or only those that are needed."""

import time
from collections.abc import Callable
from typing import Any

import structlog
from flask import current_app

from portal.accounts.tables.phone_numbers import is_stopped
from portal.core import clock
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.rules.routing import Switches
from portal.gateways import registry
from portal.gateways.rules.provider_schema import Credentials
from portal.messages.rules.message_modes import EmailRoute
from portal.settings.installation import fixed_values
from portal.settings.rules.app_config import DEFINITIONS, GatewayConfig
from portal.settings.rules.business_setting import BUSINESS, Business
from portal.settings.rules.business_setting import business as read_business
from portal.settings.rules.configuration import Configuration
from portal.settings.rules.encryption import DecryptionError
from portal.settings.rules.retention_settings import RETENTION_SETTINGS, retention_days
from portal.settings.rules.send_settings import (
    APPROVAL,
    FAILURE_PERCENT,
    PRICE,
    SEGMENTS_PER_DAY,
    UNDO,
    AlertLimits,
    SendSettings,
    alert_limits,
    send_settings,
)
from portal.settings.rules.text_limits import FREQUENCY_CAP, QUIET_HOURS, TextLimits
from portal.settings.tables.setting_values import stored_settings

_TOKEN_CACHE_KEY, _TOKEN_CACHE_SECONDS = "recent signing tokens", 0.25
_log = structlog.get_logger(__name__)


def configuration(*names: str) -> Configuration:
    """The named settings as stored, by default all. Pages keep working: an unreadable one counts as not set.

    During an upgrade, a newer release may have stored a setting that this one does not know.
    """
    stored = {name: row for name, row in stored_settings(*names).items() if name in DEFINITIONS}
    values: dict[str, Any] = {}
    read_errors: dict[str, str] = {}
    for name, row in stored.items():
        try:
            values[name] = DEFINITIONS[name].read_stored(row.value, settings().encryption_keys)
        except DecryptionError as error:
            read_errors[name] = str(error)
    expiries = {name: row.expires_at_ms for name, row in stored.items() if row.expires_at_ms is not None}
    return Configuration(registry.provider_schemas(), values, expiries, read_errors, fixed_values(settings()))


def resolve_current_gateway(at_ms: int | None = None) -> GatewayConfig:
    """The gateway at a given time, by default now."""
    current = configuration()
    for name, error in current.read_errors.items():
        _log.error("setting is unreadable", setting=name, error=error)
    return current.gateway(clock.now_ms() if at_ms is None else at_ms)


def email_route(at_ms: int) -> EmailRoute:
    """Where emails go at a given time."""
    return configuration("EnableEmailOverride", "EmailOverrideAddress").email_route(at_ms)


def current_send_settings() -> SendSettings:
    """The price of a segment, the time to undo a send, and from how many recipients a send needs approval."""
    return send_settings(configuration(PRICE, UNDO, APPROVAL).values)


def current_text_limits() -> TextLimits:
    """Quiet hours and the frequency cap."""
    return configuration(QUIET_HOURS, FREQUENCY_CAP).limits


def current_retention_days() -> dict[str, int]:
    """For how many days each kind of record is kept that is not kept for good."""
    return retention_days(configuration(*RETENTION_SETTINGS.values()).values)


def current_alert_limits() -> AlertLimits:
    return alert_limits(configuration(FAILURE_PERCENT, SEGMENTS_PER_DAY).values)


def business() -> Business:
    return read_business(configuration(BUSINESS).json_object(BUSINESS))


def live_gateway() -> GatewayConfig:
    """The gateway outside test mode, which gets replies and receipts (docs/twilio.md#test-credentials)."""
    return configuration().with_value("EnableSmsTestMode", False).gateway(clock.now_ms())


def display_values() -> dict[str, str]:
    """Every setting, secrets masked. Raises `ActionRefused` if a secret cannot be read."""
    current, now_ms = configuration(), clock.now_ms()
    if current.read_errors:
        raise ActionRefused(" ".join(current.read_errors.values()))
    return {name: current.display_value(name, now_ms) for name in DEFINITIONS}


def signing_tokens() -> list[str]:
    """Tokens that may sign webhooks: only live ones, as test mode has no webhooks (docs/twilio.md#test-credentials)."""
    credentials = live_credentials()
    return list(credentials.signing_tokens) if credentials else []


def is_signed_with_token(matches: Callable[[str], bool]) -> bool:
    """Whether one of the webhook signing tokens `matches`.

    The tokens are cached for 250 ms, because receipts arrive by the hundred and a change may take a second to apply.
    They are read again before anything is rejected.
    """
    read_at, tokens = current_app.extensions.get(_TOKEN_CACHE_KEY, (0.0, ()))
    if time.monotonic() - read_at < _TOKEN_CACHE_SECONDS and any(map(matches, tokens)):
        return True
    if tokens:
        # while this thread reads them again, the others use what they have
        current_app.extensions[_TOKEN_CACHE_KEY] = (time.monotonic(), tokens)
    tokens = signing_tokens()
    current_app.extensions[_TOKEN_CACHE_KEY] = (time.monotonic(), tokens)
    return any(map(matches, tokens))


def forget_signing_tokens() -> None:
    """This process uses new credentials at once."""
    current_app.extensions.pop(_TOKEN_CACHE_KEY, None)


def live_credentials() -> Credentials | None:
    """The credentials outside test mode. Reads only the settings it needs, because every webhook waits for it."""
    return configuration("SmsGatewayType", "SmsGatewayAuthentication").credentials()


def opted_out_override(switches: Switches) -> str | None:
    """The active override number if it replied STOP, which holds back every text."""
    return switches.override_number if is_stopped(switches.override_number) else None


def is_simulated(current: Configuration) -> bool:
    """Whether the gateway is a simulator, which reaches no real phone."""
    return registry.is_simulated(current.provider)
