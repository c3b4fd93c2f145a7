"""Change one AppConfig setting: check it, store it with its history, and ask before messages go live."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from portal.accounts import smtputf8_check
from portal.accounts.tables.phone_numbers import is_stopped
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules import email_address, text_input
from portal.core.rules.setting_error import SettingError
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.messages.rules.lane_labels import override_opted_out_message
from portal.messages.rules.message_modes import waiting_notice
from portal.messages.tables import delivery_counts, unsent_messages
from portal.settings.app_settings import configuration, forget_signing_tokens, is_simulated
from portal.settings.installation import check_not_fixed, forget_settings
from portal.settings.rules import encryption
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.configuration import Configuration, check_expiry, goes_live_at_ms
from portal.settings.rules.setting_conflicts import check_conflicts
from portal.settings.tables.sending_numbers import resume_senders
from portal.settings.tables.setting_values import (
    AppSetting,
    SettingChange,
    add_setting_change,
    lock_settings,
    switch_expiry,
)

LIVE_CONFIRMATION = "LIVE"
"""What somebody types to confirm that messages may reach people."""


def live_instruction() -> str:
    return _("Type %(word)s to confirm.", word=LIVE_CONFIRMATION)


class LiveConfirmationRequired(InvalidInput):
    """Nothing was changed: messages of `channel` would go live at `live_at_ms`, and nobody has confirmed that.

    `waiting_count` messages are waiting now and would be sent then.
    """

    def __init__(self, live_at_ms: int, waiting_count: int = 0, channel: str = "sms") -> None:
        super().__init__({"confirmation": live_instruction()})
        self.live_at_ms, self.waiting_count, self.channel = live_at_ms, waiting_count, channel


@dataclass(frozen=True)
class SettingUpdate:
    """A change to one setting. `source` is page or cli.

    `expires_at_ms` is when a switch turns itself off. `confirmation` was typed to go live; None skips the check.
    """

    name: str
    author_id: int | None
    now_ms: int
    source: str = "cli"
    expires_at_ms: int | None = None
    confirmation: str | None = None


def set_setting(name: str, text: str, author_id: int | None, now_ms: int) -> int | None:
    """`change_setting` from the command line, without a confirmation."""
    return change_setting(SettingUpdate(name, author_id, now_ms), text)


def change_setting(change: SettingUpdate, text: str | Callable[[Configuration], str]) -> int | None:
    """Return when messages of the setting's channel go live because of the change; None if they do not.

    `text` may be a function of the stored settings, which are locked meanwhile. A changed gateway resumes paused
    sending numbers. Raises `SettingError`, also if an environment variable takes precedence, and
    `LiveConfirmationRequired`.
    """
    check_not_fixed(change.name)
    _check_override_address(change, text)
    with transaction():
        lock_settings()
        before = configuration()
        after = _validated_update(before, change, text if isinstance(text, str) else text(before))
        live_ms = _goes_live_at_ms(before, after, change)
        is_confirmed = change.confirmation is None or text_input.clean_code(change.confirmation) == LIVE_CONFIRMATION
        if live_ms is not None and not is_confirmed:
            channel = DEFINITIONS[change.name].channel
            raise LiveConfirmationRequired(live_ms, delivery_counts.count_waiting(channel), channel)
        _record_history(before, after, change)
        _store(after, change)
        waiting_channels = [channel for channel in ("sms", "email") if unsent_messages.next_due_ms(channel) is not None]
    forget_signing_tokens()
    forget_settings()
    for channel in waiting_channels:
        queue.enqueue(settings().redis_url, f"drain_{channel}")
    return live_ms


def waiting_message(name: str) -> str:
    """What happens to waiting messages when this setting goes live; "" if none are waiting."""
    channel = DEFINITIONS[name].channel
    return waiting_notice(channel, delivery_counts.count_waiting(channel))


def encrypt_setting(name: str, text: str) -> str:
    """Encrypt with the newest key."""
    return encryption.encrypt_secret(text, name, settings().encryption_keys[0], os.urandom(12))


def _check_override_address(change: SettingUpdate, text: str | Callable[[Configuration], str]) -> None:
    """Check outside any transaction that the mail server accepts the letters of an override address."""
    if change.name != "EmailOverrideAddress":
        return
    address = text_input.clean_code(text if isinstance(text, str) else text(configuration()))
    db.session.rollback()
    if problem := email_address.address_problem(address) or smtputf8_check.smtputf8_problem([address]):
        raise SettingError.for_key(change.name, f"{change.name}: {problem}")


def _goes_live_at_ms(before: Configuration, after: Configuration, change: SettingUpdate) -> int | None:
    """None for texts if the gateway is a simulator. The mail server may always be a real one."""
    channel = DEFINITIONS[change.name].channel
    if channel == "sms" and is_simulated(after):
        return None
    return goes_live_at_ms(before, after, change.now_ms, channel)


def _validated_update(before: Configuration, change: SettingUpdate, text: str) -> Configuration:
    value = before.parse(change.name, text)
    check_expiry(change.name, value, change.expires_at_ms, change.now_ms)
    after = before.with_value(change.name, value, change.expires_at_ms)
    check_conflicts(change.name, after.values)
    _check_override(change.name, after)
    return after


def _check_override(name: str, after: Configuration) -> None:
    """An override number that replied STOP would hold back every text. Raises `SettingError`."""
    number = str(after.values.get("SmsOverrideNumber") or "")
    is_switched_on = name == "EnableSmsOverrideNumber" and after.values[name]
    if number and (name == "SmsOverrideNumber" or is_switched_on) and is_stopped(number):
        raise SettingError.for_key(name, f"{name}: {override_opted_out_message(number)}")


def _record_history(before: Configuration, after: Configuration, change: SettingUpdate) -> None:
    """Record a change of value or expiry, and before it the expiry of the switch if that has passed meanwhile."""
    name, expiry_ms = change.name, before.expires_at_ms_by_name.get(change.name)
    if expiry_ms is not None and expiry_ms <= change.now_ms:
        add_setting_change(switch_expiry(name, expiry_ms))
        expiry_ms = None
    entry = SettingChange(
        name=name,
        source=change.source,
        old_value=before.display_value(name, change.now_ms, before),
        new_value=after.display_value(name, change.now_ms, before),
        expires_at_ms=change.expires_at_ms,
        at_ms=change.now_ms,
        changed_by_id=change.author_id,
    )
    if entry.old_value != entry.new_value or expiry_ms != entry.expires_at_ms:
        add_setting_change(entry)


def _store(after: Configuration, change: SettingUpdate) -> None:
    name, text = change.name, json.dumps(after.values[change.name])
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
