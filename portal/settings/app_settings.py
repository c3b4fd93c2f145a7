"""AppConfig: read as one gateway, written one setting at a time."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog
from flask import current_app

from portal.accounts import smtputf8_check
from portal.accounts.tables.phone_numbers import is_stopped
from portal.core import clock
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.routing import Switches
from portal.core.rules.setting_error import SettingError
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.gateways import queue, registry
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.sms_provider import provider_config
from portal.messages.rules.lane_labels import override_opted_out_message
from portal.messages.rules.message_modes import CHANNEL_LABELS, EmailRoute
from portal.messages.tables import delivery_counts, unsent_messages
from portal.settings.rules import app_config, encryption
from portal.settings.rules.app_config import DEFINITIONS, GatewayConfig
from portal.settings.rules.configuration import (
    Configuration,
    channel_of_setting,
    check_expiry,
    goes_live_at_ms,
    liveness_check,
)
from portal.settings.rules.encryption import DecryptionError
from portal.settings.rules.setting_conflicts import check_conflicts
from portal.settings.tables.sending_numbers import paused_senders, rate_limited_senders, resume_senders
from portal.settings.tables.setting_values import (
    AppSetting,
    SettingChange,
    StoredSetting,
    lock_settings,
    stored_settings,
)

LIVE_CONFIRMATION = "LIVE"
"""What a person types to let messages reach people."""

_TOKEN_CACHE_KEY, _TOKEN_CACHE_SECONDS = "recent signing tokens", 0.25
_log = structlog.get_logger(__name__)


class InvalidSetting(InvalidInput):
    """`errors` has the setting's name as the field, `problems` a sentence for each key of it that will not do."""

    def __init__(self, name: str, error: SettingError) -> None:
        super().__init__({name: str(error)})
        self.errors_by_key = error.errors_by_key


class LiveConfirmationRequired(InvalidInput):
    """Nothing was changed: messages of `channel` would go live at `live_at_ms`, and nobody has typed that they shall.

    `waiting` is source many of them wait now, and would leave then.
    """

    def __init__(self, live_at_ms: int, waiting: int = 0, channel: str = "sms") -> None:
        reach = CHANNEL_LABELS[channel]
        said = f"{reach.plural.capitalize()} would reach {reach.recipients}."
        words = [said, reach.waiting_notice(waiting), f"Type {LIVE_CONFIRMATION} to let them."]
        self.channel = channel
        super().__init__({"confirmation": " ".join(filter(None, words))})
        self.live_at_ms = live_at_ms
        self.waiting_count = waiting


@dataclass(frozen=True)
class SettingUpdate:
    """Who wishes to change which setting, when; `source` is page or shell.

    `expires_at_ms` is when a switch ends by itself. Where a `confirmation` was asked for, it is what was typed.
    """

    name: str
    author_id: int | None
    now_ms: int
    source: str = "cli"
    expires_at_ms: int | None = None
    confirmation: str | None = None


def set_setting(name: str, text: str, author_id: int | None, now_ms: int) -> int | None:
    """From the shell: as `change_setting`."""
    return change_setting(SettingUpdate(name, author_id, now_ms), text)


def change_setting(change: SettingUpdate, text: str | Callable[[Configuration], str]) -> int | None:
    """When texts (or emails) reach people by this change; None when they do not.

    A changed gateway resumes paused lanes. The text may be made of what is stored, which nobody changes meanwhile.
    Raises `InvalidSetting`, `LiveConfirmationRequired`.
    """
    _check_override_address(change, text)
    with transaction():
        lock_settings()
        before = configuration()
        after = _validated_update(before, change, text if isinstance(text, str) else text(before))
        live_ms = _goes_live_at_ms(before, after, change)
        if (
            live_ms is not None
            and change.confirmation is not None
            and text_input.clean_code(change.confirmation) != LIVE_CONFIRMATION
        ):
            channel = channel_of_setting(change.name)
            raise LiveConfirmationRequired(live_ms, delivery_counts.count_waiting(channel), channel)
        _record_history(before, after, change)
        _store(after, change)
        waiting = [channel for channel in ("sms", "email") if unsent_messages.next_due_ms(channel) is not None]
    current_app.extensions.pop(_TOKEN_CACHE_KEY, None)
    for channel in waiting:
        queue.enqueue(settings().redis_url, f"drain_{channel}")
    return live_ms


def configuration() -> Configuration:
    """All settings now. What cannot be read counts as not set: pages stay up, and the strip says what that means."""
    return _load_configuration(stored_settings())


def _load_configuration(stored: Mapping[str, StoredSetting]) -> Configuration:
    values: dict[str, Any] = {}
    ends: dict[str, int] = {}
    unreadable: dict[str, str] = {}
    for name, row in stored.items():
        try:
            values[name] = json.loads(_decrypted_json(name, row.value, settings().encryption_keys))
        except DecryptionError as error:
            unreadable[name] = str(error)
        if row.expires_at_ms is not None:
            ends[name] = row.expires_at_ms
    return Configuration(registry.provider_schemas(), values, ends, unreadable)


@lru_cache(maxsize=32)
def _decrypted_json(name: str, stored: str, keys: tuple[bytes, ...]) -> str:
    """The JSON of a setting. Unsealed once for each value and key: it is asked for with every call from outside."""
    return encryption.decrypt_secret(stored, name, keys) if DEFINITIONS[name].is_secret else stored


def resolve_current_gateway(at_ms: int | None = None) -> GatewayConfig:
    """The gateway as the settings stand at a moment, by default now."""
    found = configuration()
    for name, why in found.read_errors.items():
        _log.error("setting_unreadable", setting=name, error=why)
    return found.gateway(clock.now_ms() if at_ms is None else at_ms)


def email_route(at_ms: int) -> EmailRoute:
    """Where emails go at a moment."""
    names = ("EnableEmailOverride", "EmailOverrideAddress")
    return _load_configuration(stored_settings(*names)).email_route(at_ms)


def live_gateway() -> GatewayConfig:
    """The gateway outside test mode: handsets reply to it, it gets receipts (docs/twilio.md#test-credentials)."""
    return configuration().with_test_mode(False).gateway(clock.now_ms())


def current_values(at_ms: int | None = None) -> dict[str, Any]:
    """What holds at a moment, by default now, by the names of the settings."""
    return configuration().values_at(clock.now_ms() if at_ms is None else at_ms)


def display_values() -> dict[str, str]:
    """Every setting as it may be shown, in the order of the table; a secret by its last four characters.

    Raises `DecryptionError` for a secret that cannot be read.
    """
    found, now_ms = configuration(), clock.now_ms()
    if found.read_errors:
        raise DecryptionError(" ".join(found.read_errors.values()))
    return {name: found.display_value(name, now_ms) for name in DEFINITIONS}


def signing_tokens() -> list[str]:
    """Tokens that may sign webhooks: the live ones, as test mode sends none (docs/twilio.md#test-credentials)."""
    live = live_credentials()
    return list(live.signing_tokens) if live else []


def is_signed_with_token(fits: Callable[[str], bool]) -> bool:
    """Whether one of the tokens that sign webhooks `fits`.

    For a quarter of a second one reading does for all: receipts come by the hundred, and a change has a second to take
    effect. Nobody is refused without another look.
    """
    read_at, tokens = current_app.extensions.get(_TOKEN_CACHE_KEY, (0.0, ()))
    if time.monotonic() - read_at < _TOKEN_CACHE_SECONDS and any(map(fits, tokens)):
        return True
    tokens = signing_tokens()
    current_app.extensions[_TOKEN_CACHE_KEY] = (time.monotonic(), tokens)
    return any(map(fits, tokens))


def live_credentials() -> Credentials | None:
    """Without the rest of the gateway, which every call from outside would have to wait for."""
    found = _load_configuration(stored_settings("SmsGatewayType", "SmsGatewayAuthentication"))
    return app_config.live_credentials(found.values, found.provider_schemas)


def opted_out_override(switches: Switches) -> str | None:
    """The override number in force, if it said STOP: no text of any kind leaves then."""
    return switches.override_number if is_stopped(switches.override_number) else None


def waiting_message(name: str) -> str:
    """What becomes of the messages that wait once the setting lets them reach people; "" when none waits."""
    channel = channel_of_setting(name)
    return CHANNEL_LABELS[channel].waiting_notice(delivery_counts.count_waiting(channel))


def is_simulated(found: Configuration) -> bool:
    """Whether the gateway is a simulator, so that no real phone can ring."""
    return registry.is_simulated(found.provider, provider_config())


def paused_sending_numbers() -> list[tuple[str, str]]:
    return [(sender.number, sender.paused_reason) for sender in paused_senders()]


def limited_sending_numbers(now_ms: int) -> list[tuple[str, str, int]]:
    """Sending numbers that a limit keeps: the code that told of it, and until when."""
    return [(sender.number, sender.limit_code, sender.limit_resets_at_ms) for sender in rate_limited_senders(now_ms)]


def encrypt_setting(name: str, text: str) -> str:
    """With the newest key."""
    return encryption.encrypt_secret(text, name, settings().encryption_keys[0], os.urandom(12))


def _check_override_address(change: SettingUpdate, text: str | Callable[[Configuration], str]) -> None:
    """Asks the mail server whether it takes the letters of an override address, outside any transaction."""
    if change.name != "EmailOverrideAddress":
        return
    found = configuration()
    typed = text if isinstance(text, str) else text(found)
    db.session.rollback()
    try:
        address = str(found.parse(change.name, typed) or "")
    except SettingError as error:
        raise InvalidSetting(change.name, error) from error
    smtputf8_problem = smtputf8_check.smtputf8_problem([address])
    if smtputf8_problem:
        raise InvalidSetting(change.name, SettingError.for_key(f"{change.name}: {smtputf8_problem}"))


def _goes_live_at_ms(before: Configuration, after: Configuration, change: SettingUpdate) -> int | None:
    """Where texts go to a simulator no phone rings; of emails there is no telling."""
    if channel_of_setting(change.name) == "sms" and is_simulated(after):
        return None
    return goes_live_at_ms(before, after, change.now_ms, liveness_check(change.name))


def _validated_update(before: Configuration, change: SettingUpdate, text: str) -> Configuration:
    try:
        value = before.parse(change.name, text)
        check_expiry(change.name, value, change.expires_at_ms, change.now_ms)
    except SettingError as error:
        raise InvalidSetting(change.name, error) from error
    after = before.with_value(change.name, value, change.expires_at_ms)
    try:
        check_conflicts(change.name, after.values)
        _check_override(change.name, after)
    except SettingError as error:
        raise InvalidSetting(change.name, error) from error
    return after


def _check_override(name: str, after: Configuration) -> None:
    """A number that said STOP is no override: every text would stand still. Raises `SettingError`."""
    number = str(after.values.get("SmsOverrideNumber") or "")
    switched_on = name == "EnableSmsOverrideNumber" and after.values[name]
    if number and (name == "SmsOverrideNumber" or switched_on) and is_stopped(number):
        raise SettingError.for_key(f"{name}: {override_opted_out_message(number)}")


def _record_history(before: Configuration, after: Configuration, change: SettingUpdate) -> None:
    """A line of history, unless all stays as it is; before it the line for a switch that ended by itself meanwhile."""
    name, ended_ms = change.name, before.expires_at_ms_by_name.get(change.name)
    if ended_ms is not None and ended_ms <= change.now_ms:
        db.session.add(SettingChange(name=name, source="expiry", old_value="true", new_value="false", at_ms=ended_ms))
    line = SettingChange(
        name=name,
        source=change.source,
        old_value=before.history_value(name, before, change.now_ms),
        new_value=after.history_value(name, before, change.now_ms),
        expires_at_ms=change.expires_at_ms,
        at_ms=change.now_ms,
        changed_by_id=change.author_id,
    )
    still_until_ms = ended_ms if ended_ms is not None and ended_ms > change.now_ms else None
    if line.old_value != line.new_value or still_until_ms != line.expires_at_ms:
        db.session.add(line)


def _store(after: Configuration, change: SettingUpdate) -> None:
    name = change.name
    text = json.dumps(after.values[name])
    row = {
        "name": name,
        "value": encrypt_setting(name, text) if DEFINITIONS[name].is_secret else text,
        "expires_at_ms": change.expires_at_ms,
        "changed_at_ms": change.now_ms,
        "changed_by_id": change.author_id,
    }
    upsert(AppSetting, row, ["name"])
    if name.startswith(("SmsGateway", "TestSmsGateway")):
        resume_senders(change.now_ms)
