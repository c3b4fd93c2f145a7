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

from portal import clock
from portal.actions import mail_letters
from portal.actions.carriers import surroundings
from portal.actions.errors import Invalid
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import app_config, sealing, text_input
from portal.domain.app_config import DEFINITIONS, Credentials, Gateway
from portal.domain.configuration import Configuration, channel_of, check_end, goes_live_ms, live_of
from portal.domain.lane_words import override_stopped
from portal.domain.rehearsal import REACHES, EmailRoute
from portal.domain.routing import Switches
from portal.domain.sealing import SealError
from portal.domain.setting_conflicts import check_together
from portal.domain.setting_error import SettingError
from portal.extensions import db
from portal.gateways import queue, registry
from portal.models import due, progress
from portal.models.gateway import (
    AppSetting,
    SettingChange,
    StoredSetting,
    lock_settings,
    paused_senders,
    resting_senders,
    resume_senders,
    stored_settings,
)
from portal.models.phone import is_stopped
from portal.models.upsert import put

GOING_LIVE = "LIVE"
"""What a person types to let messages reach people."""

_RECENT_TOKENS, _RECENT_SECONDS = "recent signing tokens", 0.25
_log = structlog.get_logger(__name__)


class InvalidSetting(Invalid):
    """`errors` has the setting's name as the field, `problems` a sentence for each key of it that will not do."""

    def __init__(self, name: str, error: SettingError) -> None:
        super().__init__({name: str(error)})
        self.problems = error.problems


class NotConfirmed(Invalid):
    """Nothing was changed: messages of `channel` would go live at `live_at_ms`, and nobody has typed that they shall.

    `waiting` is how many of them wait now, and would leave then.
    """

    def __init__(self, live_at_ms: int, waiting: int = 0, channel: str = "sms") -> None:
        reach = REACHES[channel]
        said = f"{reach.many.capitalize()} would reach {reach.whom}."
        words = [said, reach.leaving(waiting), f"Type {GOING_LIVE} to let them."]
        self.channel = channel
        super().__init__({"confirmation": " ".join(filter(None, words))})
        self.live_at_ms = live_at_ms
        self.waiting = waiting


@dataclass(frozen=True)
class Change:
    """Who wishes to change which setting, when; `how` is page or shell.

    `until_ms` is when a switch ends by itself. Where a `confirmation` was asked for, it is what was typed.
    """

    name: str
    author_id: int | None
    now_ms: int
    how: str = "shell"
    until_ms: int | None = None
    confirmation: str | None = None


def set_setting(name: str, text: str, author_id: int | None, now_ms: int) -> int | None:
    """From the shell: as `change_setting`."""
    return change_setting(Change(name, author_id, now_ms), text)


def change_setting(change: Change, text: str | Callable[[Configuration], str]) -> int | None:
    """When texts (or emails) reach people by this change; None when they do not.

    A changed gateway resumes paused lanes. The text may be made of what is stored, which nobody changes meanwhile.
    Raises `InvalidSetting`, `NotConfirmed`.
    """
    _check_letters(change, text)
    with transaction():
        lock_settings()
        before = configuration()
        after = _changed(before, change, text if isinstance(text, str) else text(before))
        live_ms = _live_ms(before, after, change)
        if (
            live_ms is not None
            and change.confirmation is not None
            and text_input.code(change.confirmation) != GOING_LIVE
        ):
            channel = channel_of(change.name)
            raise NotConfirmed(live_ms, progress.about_to_leave(channel), channel)
        _note(before, after, change)
        _write(after, change)
        waiting = [channel for channel in ("sms", "email") if due.next_waiting_ms(channel) is not None]
    current_app.extensions.pop(_RECENT_TOKENS, None)
    for channel in waiting:
        queue.ring(settings().redis_url, f"drain_{channel}")
    return live_ms


def configuration() -> Configuration:
    """All settings now. What cannot be read counts as not set: pages stay up, and the strip says what that means."""
    return _configuration(stored_settings())


def _configuration(stored: Mapping[str, StoredSetting]) -> Configuration:
    values: dict[str, Any] = {}
    ends: dict[str, int] = {}
    unreadable: dict[str, str] = {}
    for name, row in stored.items():
        try:
            values[name] = json.loads(_text(name, row.value, settings().encryption_keys))
        except SealError as error:
            unreadable[name] = str(error)
        if row.until_ms is not None:
            ends[name] = row.until_ms
    return Configuration(registry.dialects(), values, ends, unreadable)


@lru_cache(maxsize=32)
def _text(name: str, stored: str, keys: tuple[bytes, ...]) -> str:
    """The JSON of a setting. Unsealed once for each value and key: it is asked for with every call from outside."""
    return sealing.unseal(stored, name, keys) if DEFINITIONS[name].secret else stored


def gateway(at_ms: int | None = None) -> Gateway:
    """The gateway as the settings stand at a moment, by default now."""
    found = configuration()
    for name, why in found.unreadable.items():
        _log.error("a setting cannot be read", setting=name, why=why)
    return found.gateway(clock.now_ms() if at_ms is None else at_ms)


def email_route(at_ms: int) -> EmailRoute:
    """Where emails go at a moment."""
    names = ("EnableEmailOverride", "EmailOverrideAddress")
    return _configuration(stored_settings(*names)).email_route(at_ms)


def live_gateway() -> Gateway:
    """The gateway outside test mode: handsets reply to it, it gets receipts (docs/twilio.md#test-credentials)."""
    return configuration().in_test_mode(False).gateway(clock.now_ms())


def values(at_ms: int | None = None) -> dict[str, Any]:
    """What holds at a moment, by default now, by the names of the settings."""
    return configuration().at(clock.now_ms() if at_ms is None else at_ms)


def shown() -> dict[str, str]:
    """Every setting as it may be shown, in the order of the table; a secret by its last four characters.

    Raises `SealError` for a secret that cannot be read.
    """
    found, now_ms = configuration(), clock.now_ms()
    if found.unreadable:
        raise SealError(" ".join(found.unreadable.values()))
    return {name: found.shown(name, now_ms) for name in DEFINITIONS}


def signing_tokens() -> list[str]:
    """Tokens that may sign webhooks: the live ones, as test mode sends none (docs/twilio.md#test-credentials)."""
    live = live_credentials()
    return list(live.signing_tokens) if live else []


def has_signed(fits: Callable[[str], bool]) -> bool:
    """Whether one of the tokens that sign webhooks `fits`.

    For a quarter of a second one reading does for all: receipts come by the hundred, and a change has a second to take
    effect. Nobody is refused without another look.
    """
    read_at, tokens = current_app.extensions.get(_RECENT_TOKENS, (0.0, ()))
    if time.monotonic() - read_at < _RECENT_SECONDS and any(map(fits, tokens)):
        return True
    tokens = signing_tokens()
    current_app.extensions[_RECENT_TOKENS] = (time.monotonic(), tokens)
    return any(map(fits, tokens))


def live_credentials() -> Credentials | None:
    """Without the rest of the gateway, which every call from outside would have to wait for."""
    found = _configuration(stored_settings("SmsGatewayType", "SmsGatewayAuthentication"))
    return app_config.live_credentials(found.values, found.dialects)


def stopped_override(switches: Switches) -> str | None:
    """The override number in force, if it said STOP: no text of any kind leaves then."""
    return switches.override_number if is_stopped(switches.override_number) else None


def waiting_words(name: str) -> str:
    """What becomes of the messages that wait once the setting lets them reach people; "" when none waits."""
    channel = channel_of(name)
    return REACHES[channel].leaving(progress.about_to_leave(channel))


def is_simulated(found: Configuration) -> bool:
    """Whether the gateway is a simulator, so that no real phone can ring."""
    return registry.is_simulated(found.provider, surroundings())


def paused_lanes() -> list[tuple[str, str]]:
    return [(sender.number, sender.paused_reason) for sender in paused_senders()]


def resting_lanes(now_ms: int) -> list[tuple[str, str, int]]:
    """Sending numbers that a limit keeps: the code that told of it, and until when."""
    return [(sender.number, sender.limit_code, sender.limit_until_ms) for sender in resting_senders(now_ms)]


def seal(name: str, text: str) -> str:
    """With the newest key."""
    return sealing.seal(text, name, settings().encryption_keys[0], os.urandom(12))


def _check_letters(change: Change, text: str | Callable[[Configuration], str]) -> None:
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
    problem = mail_letters.problem([address])
    if problem:
        raise InvalidSetting(change.name, SettingError.of(f"{change.name}: {problem}"))


def _live_ms(before: Configuration, after: Configuration, change: Change) -> int | None:
    """Where texts go to a simulator no phone rings; of emails there is no telling."""
    if channel_of(change.name) == "sms" and is_simulated(after):
        return None
    return goes_live_ms(before, after, change.now_ms, live_of(change.name))


def _changed(before: Configuration, change: Change, text: str) -> Configuration:
    try:
        value = before.parse(change.name, text)
        check_end(change.name, value, change.until_ms, change.now_ms)
    except SettingError as error:
        raise InvalidSetting(change.name, error) from error
    after = before.changed(change.name, value, change.until_ms)
    try:
        check_together(change.name, after.values)
        _check_override(change.name, after)
    except SettingError as error:
        raise InvalidSetting(change.name, error) from error
    return after


def _check_override(name: str, after: Configuration) -> None:
    """A number that said STOP is no override: every text would stand still. Raises `SettingError`."""
    number = str(after.values.get("SmsOverrideNumber") or "")
    switched_on = name == "EnableSmsOverrideNumber" and after.values[name]
    if number and (name == "SmsOverrideNumber" or switched_on) and is_stopped(number):
        raise SettingError.of(f"{name}: {override_stopped(number)}")


def _note(before: Configuration, after: Configuration, change: Change) -> None:
    """A line of history, unless all stays as it is; before it the line for a switch that ended by itself meanwhile."""
    name, ended_ms = change.name, before.ends.get(change.name)
    if ended_ms is not None and ended_ms <= change.now_ms:
        db.session.add(SettingChange(name=name, how="end", before="true", after="false", at_ms=ended_ms))
    line = SettingChange(
        name=name,
        how=change.how,
        before=before.noted(name, before, change.now_ms),
        after=after.noted(name, before, change.now_ms),
        until_ms=change.until_ms,
        at_ms=change.now_ms,
        changed_by_id=change.author_id,
    )
    still_until_ms = ended_ms if ended_ms is not None and ended_ms > change.now_ms else None
    if line.before != line.after or still_until_ms != line.until_ms:
        db.session.add(line)


def _write(after: Configuration, change: Change) -> None:
    name = change.name
    text = json.dumps(after.values[name])
    row = {
        "name": name,
        "value": seal(name, text) if DEFINITIONS[name].secret else text,
        "until_ms": change.until_ms,
        "changed_at_ms": change.now_ms,
        "changed_by_id": change.author_id,
    }
    put(AppSetting, row, ["name"])
    if name.startswith(("SmsGateway", "TestSmsGateway")):
        resume_senders(change.now_ms)
